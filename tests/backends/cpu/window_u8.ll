define internal void @k0_cast_sub_div_add_clip(ptr noalias %b0, ptr readonly %b1, i64 %worker, i64 %workers) #0 {
entry:
  br label %body
body:
  %v1 = mul i64 4, %worker
  %v2 = udiv i64 %v1, %workers
  %v3 = add i64 %worker, 1
  %v4 = mul i64 4, %v3
  %v5 = udiv i64 %v4, %workers
  br label %head6
head6:
  %i6 = phi i64 [ %v2, %body ], [ %next6, %latch6 ]
  %more6 = icmp slt i64 %i6, %v5
  br i1 %more6, label %body6, label %done6
body6:
  %v7 = and i64 6, -4
  br label %head8
head8:
  %i8 = phi i64 [ 0, %body6 ], [ %next8, %latch8 ]
  %more8 = icmp slt i64 %i8, %v7
  br i1 %more8, label %body8, label %done8
body8:
  %v9 = mul nsw i64 %i6, 6
  %v10 = add nsw i64 %v9, %i8
  %v11 = getelementptr i8, ptr %b1, i64 %v10
  %v12 = load <4 x i8>, ptr %v11, align 1
  %v13 = uitofp <4 x i8> %v12 to <4 x float>
  %v14 = fsub <4 x float> %v13, splat (float 0x4059000000000000)
  %v15 = fdiv <4 x float> %v14, splat (float 0x4054000000000000)
  %v16 = fadd <4 x float> %v15, splat (float 0x3FE0000000000000)
  %v17 = fcmp ogt <4 x float> splat (float 0x0000000000000000), %v16
  %v18 = select <4 x i1> %v17, <4 x float> splat (float 0x0000000000000000), <4 x float> %v16
  %v19 = fcmp olt <4 x float> splat (float 0x3FF0000000000000), %v18
  %v20 = select <4 x i1> %v19, <4 x float> splat (float 0x3FF0000000000000), <4 x float> %v18
  %v21 = mul nsw i64 %i6, 6
  %v22 = add nsw i64 %v21, %i8
  %v23 = getelementptr float, ptr %b0, i64 %v22
  store <4 x float> %v20, ptr %v23, align 4
  br label %latch8
latch8:
  %next8 = add nsw i64 %i8, 4
  br label %head8
done8:
  br label %head24
head24:
  %i24 = phi i64 [ %v7, %done8 ], [ %next24, %latch24 ]
  %more24 = icmp slt i64 %i24, 6
  br i1 %more24, label %body24, label %done24
body24:
  %v25 = mul nsw i64 %i6, 6
  %v26 = add nsw i64 %v25, %i24
  %v27 = getelementptr i8, ptr %b1, i64 %v26
  %v28 = load i8, ptr %v27, align 1
  %v29 = uitofp i8 %v28 to float
  %v30 = fsub float %v29, 0x4059000000000000
  %v31 = fdiv float %v30, 0x4054000000000000
  %v32 = fadd float %v31, 0x3FE0000000000000
  %v33 = fcmp ogt float 0x0000000000000000, %v32
  %v34 = select i1 %v33, float 0x0000000000000000, float %v32
  %v35 = fcmp olt float 0x3FF0000000000000, %v34
  %v36 = select i1 %v35, float 0x3FF0000000000000, float %v34
  %v37 = mul nsw i64 %i6, 6
  %v38 = add nsw i64 %v37, %i24
  %v39 = getelementptr float, ptr %b0, i64 %v38
  store float %v36, ptr %v39, align 4
  br label %latch24
latch24:
  %next24 = add nsw i64 %i24, 1
  br label %head24
done24:
  br label %latch6
latch6:
  %next6 = add nsw i64 %i6, 1
  br label %head6
done6:
  ret void
}
