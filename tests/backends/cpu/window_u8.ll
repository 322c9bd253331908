define internal void @k0_cast_sub_div_add_clip(ptr noalias %b0, ptr readonly %b1, i64 %worker, i64 %workers, i64 %size1) #0 {
entry:
  br label %body
body:
  %v1 = mul i64 %size1, %worker
  %v2 = udiv i64 %v1, %workers
  %v3 = add i64 %worker, 1
  %v4 = mul i64 %size1, %v3
  %v5 = udiv i64 %v4, %workers
  br label %head6
head6:
  %i6 = phi i64 [ %v2, %body ], [ %next6, %latch6 ]
  %more6 = icmp slt i64 %i6, %v5
  br i1 %more6, label %body6, label %done6
body6:
  %v7 = mul i64 %i6, 16
  %v8 = sub i64 24, %v7
  %v9 = call i64 @llvm.smin.i64(i64 16, i64 %v8)
  %v10 = and i64 %v9, -16
  br label %head11
head11:
  %i11 = phi i64 [ 0, %body6 ], [ %next11, %latch11 ]
  %more11 = icmp slt i64 %i11, %v10
  br i1 %more11, label %body11, label %done11
body11:
  %v12 = mul i64 %i6, 16
  %v13 = insertelement <16 x i64> poison, i64 %i11, i64 0
  %v14 = shufflevector <16 x i64> %v13, <16 x i64> poison, <16 x i32> zeroinitializer
  %v15 = add <16 x i64> %v14, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v16 = insertelement <16 x i64> poison, i64 %v12, i64 0
  %v17 = shufflevector <16 x i64> %v16, <16 x i64> poison, <16 x i32> zeroinitializer
  %v18 = add <16 x i64> %v17, %v15
  %v19 = extractelement <16 x i64> %v18, i64 0
  %v20 = getelementptr i8, ptr %b1, i64 %v19
  %v21 = load <16 x i8>, ptr %v20, align 1
  %v22 = uitofp <16 x i8> %v21 to <16 x float>
  %v23 = fsub <16 x float> %v22, splat (float 0x4059000000000000)
  %v24 = fdiv <16 x float> %v23, splat (float 0x4054000000000000)
  %v25 = fadd <16 x float> %v24, splat (float 0x3FE0000000000000)
  %v26 = fcmp ogt <16 x float> splat (float 0x0000000000000000), %v25
  %v27 = select <16 x i1> %v26, <16 x float> splat (float 0x0000000000000000), <16 x float> %v25
  %v28 = fcmp olt <16 x float> splat (float 0x3FF0000000000000), %v27
  %v29 = select <16 x i1> %v28, <16 x float> splat (float 0x3FF0000000000000), <16 x float> %v27
  %v30 = extractelement <16 x i64> %v18, i64 0
  %v31 = getelementptr float, ptr %b0, i64 %v30
  store <16 x float> %v29, ptr %v31, align 4
  br label %latch11
latch11:
  %next11 = add nsw i64 %i11, 16
  br label %head11
done11:
  br label %head32
head32:
  %i32 = phi i64 [ %v10, %done11 ], [ %next32, %latch32 ]
  %more32 = icmp slt i64 %i32, %v9
  br i1 %more32, label %body32, label %done32
body32:
  %v33 = mul i64 %i6, 16
  %v34 = add i64 %v33, %i32
  %v35 = getelementptr i8, ptr %b1, i64 %v34
  %v36 = load i8, ptr %v35, align 1
  %v37 = uitofp i8 %v36 to float
  %v38 = fsub float %v37, 0x4059000000000000
  %v39 = fdiv float %v38, 0x4054000000000000
  %v40 = fadd float %v39, 0x3FE0000000000000
  %v41 = fcmp ogt float 0x0000000000000000, %v40
  %v42 = select i1 %v41, float 0x0000000000000000, float %v40
  %v43 = fcmp olt float 0x3FF0000000000000, %v42
  %v44 = select i1 %v43, float 0x3FF0000000000000, float %v42
  %v45 = getelementptr float, ptr %b0, i64 %v34
  store float %v44, ptr %v45, align 4
  br label %latch32
latch32:
  %next32 = add nsw i64 %i32, 1
  br label %head32
done32:
  br label %latch6
latch6:
  %next6 = add nsw i64 %i6, 1
  br label %head6
done6:
  ret void
}
