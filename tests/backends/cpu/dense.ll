define internal void @k0_cpu_dense(ptr noalias %b0, ptr readonly %b1, ptr readonly %b2, ptr readonly %b3, i64 %worker, i64 %workers, i64 %size1) #0 {
entry:
  %m12 = alloca <16 x float>, align 64
  %m13 = alloca <16 x float>, align 64
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
  %v7 = mul nsw i64 %i6, 320
  %v8 = getelementptr i8, ptr %b2, i64 %v7
  %v9 = mul nsw i64 %i6, 16
  br label %head10
head10:
  %i10 = phi i64 [ 0, %body6 ], [ %next10, %latch10 ]
  %more10 = icmp slt i64 %i10, 1
  br i1 %more10, label %body10, label %done10
body10:
  %v11 = mul nsw i64 %i10, 2
  store <16 x float> zeroinitializer, ptr %m12
  store <16 x float> zeroinitializer, ptr %m13
  %v14 = mul nsw i64 %v11, 20
  %v15 = getelementptr i8, ptr %b1, i64 %v14
  br label %head16
head16:
  %i16 = phi i64 [ 0, %body10 ], [ %next16, %latch16 ]
  %more16 = icmp slt i64 %i16, 5
  br i1 %more16, label %body16, label %done16
body16:
  %v17 = mul nsw i64 %i16, 4
  %v18 = getelementptr i8, ptr %v15, i64 %v17
  %v19 = mul nsw i64 %i16, 64
  %v20 = getelementptr i8, ptr %v8, i64 %v19
  %v21 = load <16 x float>, ptr %v20, align 64
  %v22 = load float, ptr %v18, align 4
  %v23 = insertelement <16 x float> poison, float %v22, i64 0
  %v24 = shufflevector <16 x float> %v23, <16 x float> poison, <16 x i32> zeroinitializer
  %v25 = load <16 x float>, ptr %m12
  %v26 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v24, <16 x float> %v21, <16 x float> %v25)
  store <16 x float> %v26, ptr %m12
  %v27 = getelementptr i8, ptr %v18, i64 20
  %v28 = load float, ptr %v27, align 4
  %v29 = insertelement <16 x float> poison, float %v28, i64 0
  %v30 = shufflevector <16 x float> %v29, <16 x float> poison, <16 x i32> zeroinitializer
  %v31 = load <16 x float>, ptr %m13
  %v32 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v30, <16 x float> %v21, <16 x float> %v31)
  store <16 x float> %v32, ptr %m13
  br label %latch16
latch16:
  %next16 = add nsw i64 %i16, 1
  br label %head16
done16:
  %v33 = load <16 x float>, ptr %m12
  %v34 = getelementptr float, ptr %b3, i64 %v9
  %v35 = load <16 x float>, ptr %v34, align 4
  %v36 = fadd <16 x float> %v33, %v35
  %v37 = mul nsw i64 %v11, 4
  %v38 = add nsw i64 %v37, %v9
  %v39 = getelementptr float, ptr %b0, i64 %v38
  %v40 = insertelement <16 x i64> poison, i64 %v9, i64 0
  %v41 = shufflevector <16 x i64> %v40, <16 x i64> poison, <16 x i32> zeroinitializer
  %v42 = add <16 x i64> %v41, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v43 = icmp slt <16 x i64> %v42, splat (i64 4)
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v36, ptr %v39, i32 4, <16 x i1> %v43)
  %v44 = add nsw i64 %v11, 1
  %v45 = load <16 x float>, ptr %m13
  %v46 = getelementptr float, ptr %b3, i64 %v9
  %v47 = load <16 x float>, ptr %v46, align 4
  %v48 = fadd <16 x float> %v45, %v47
  %v49 = mul nsw i64 %v44, 4
  %v50 = add nsw i64 %v49, %v9
  %v51 = getelementptr float, ptr %b0, i64 %v50
  %v52 = insertelement <16 x i64> poison, i64 %v9, i64 0
  %v53 = shufflevector <16 x i64> %v52, <16 x i64> poison, <16 x i32> zeroinitializer
  %v54 = add <16 x i64> %v53, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v55 = icmp slt <16 x i64> %v54, splat (i64 4)
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v48, ptr %v51, i32 4, <16 x i1> %v55)
  br label %latch10
latch10:
  %next10 = add nsw i64 %i10, 1
  br label %head10
done10:
  br label %latch6
latch6:
  %next6 = add nsw i64 %i6, 1
  br label %head6
done6:
  ret void
}
