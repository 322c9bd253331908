define internal void @k0_reduce_max(ptr noalias %b0, ptr readonly %b1, i64 %worker, i64 %workers, i64 %size1) #0 {
entry:
  %m12 = alloca float, align 64
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
  %v8 = sub i64 2, %v7
  br label %head9
head9:
  %i9 = phi i64 [ 0, %body6 ], [ %next9, %latch9 ]
  %more9 = icmp slt i64 %i9, %v8
  br i1 %more9, label %body9, label %done9
body9:
  %v10 = mul i64 %i6, 16
  %v11 = add i64 %v10, %i9
  store float 0xFFF0000000000000, ptr %m12
  br label %head13
head13:
  %i13 = phi i64 [ 0, %body9 ], [ %next13, %latch13 ]
  %more13 = icmp slt i64 %i13, 5
  br i1 %more13, label %body13, label %done13
body13:
  %v14 = load float, ptr %m12
  %v15 = mul nsw i64 %v11, 5
  %v16 = add nsw i64 %v15, %i13
  %v17 = getelementptr float, ptr %b1, i64 %v16
  %v18 = load float, ptr %v17, align 4
  %v19 = fcmp ogt float %v14, %v18
  %v20 = select i1 %v19, float %v14, float %v18
  %v21 = fcmp une float %v14, %v14
  %v22 = select i1 %v21, float %v14, float %v20
  store float %v22, ptr %m12
  br label %latch13
latch13:
  %next13 = add nsw i64 %i13, 1
  br label %head13
done13:
  %v23 = load float, ptr %m12
  %v24 = getelementptr float, ptr %b0, i64 %v11
  store float %v23, ptr %v24, align 4
  br label %latch9
latch9:
  %next9 = add nsw i64 %i9, 1
  br label %head9
done9:
  br label %latch6
latch6:
  %next6 = add nsw i64 %i6, 1
  br label %head6
done6:
  ret void
}

define internal void @k1_sub_exp(ptr noalias %b0, ptr readonly %b1, ptr readonly %b2, i64 %worker, i64 %workers, i64 %size1) #0 {
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
  br label %head7
head7:
  %i7 = phi i64 [ 0, %body6 ], [ %next7, %latch7 ]
  %more7 = icmp slt i64 %i7, 5
  br i1 %more7, label %body7, label %done7
body7:
  %v8 = mul nsw i64 %i6, 5
  %v9 = add nsw i64 %v8, %i7
  %v10 = getelementptr float, ptr %b1, i64 %v9
  %v11 = load float, ptr %v10, align 4
  %v12 = getelementptr float, ptr %b2, i64 %i6
  %v13 = load float, ptr %v12, align 4
  %v14 = fsub float %v11, %v13
  %v15 = fcmp ogt float %v14, 0x4056400000000000
  %v16 = select i1 %v15, float 0x4056400000000000, float %v14
  %v17 = fcmp olt float %v16, 0xC05A000000000000
  %v18 = select i1 %v17, float 0xC05A000000000000, float %v16
  %v19 = call float @llvm.fma.f32(float %v18, float 0x3FF7154760000000, float 0x4168000000000000)
  %v20 = fsub float %v19, 0x4168000000000000
  %v21 = call float @llvm.fma.f32(float %v20, float 0xBFE62E4300000000, float %v18)
  %v22 = call float @llvm.fma.f32(float %v20, float 0x3E205C6100000000, float %v21)
  %v23 = bitcast float %v19 to i32
  %v24 = add i32 %v23, -1262485504
  %v25 = ashr i32 %v24, 1
  %v26 = call float @llvm.fma.f32(float 0x3F56A452E0000000, float %v22, float 0x3F81239AA0000000)
  %v27 = call float @llvm.fma.f32(float %v26, float %v22, float 0x3FA5558B80000000)
  %v28 = call float @llvm.fma.f32(float %v27, float %v22, float 0x3FC5554920000000)
  %v29 = call float @llvm.fma.f32(float %v28, float %v22, float 0x3FDFFFFFC0000000)
  %v30 = fmul float %v22, %v22
  %v31 = call float @llvm.fma.f32(float %v29, float %v30, float %v22)
  %v32 = fadd float %v31, 0x3FF0000000000000
  %v33 = add i32 %v25, 127
  %v34 = shl i32 %v33, 23
  %v35 = bitcast i32 %v34 to float
  %v36 = fmul float %v32, %v35
  %v37 = sub i32 %v24, %v25
  %v38 = add i32 %v37, 127
  %v39 = shl i32 %v38, 23
  %v40 = bitcast i32 %v39 to float
  %v41 = fmul float %v36, %v40
  %v42 = mul nsw i64 %i6, 5
  %v43 = add nsw i64 %v42, %i7
  %v44 = getelementptr float, ptr %b0, i64 %v43
  store float %v41, ptr %v44, align 4
  br label %latch7
latch7:
  %next7 = add nsw i64 %i7, 1
  br label %head7
done7:
  br label %latch6
latch6:
  %next6 = add nsw i64 %i6, 1
  br label %head6
done6:
  ret void
}

define internal void @k2_reduce_sum(ptr noalias %b0, ptr readonly %b1, i64 %worker, i64 %workers, i64 %size1) #0 {
entry:
  %m12 = alloca float, align 64
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
  %v8 = sub i64 2, %v7
  br label %head9
head9:
  %i9 = phi i64 [ 0, %body6 ], [ %next9, %latch9 ]
  %more9 = icmp slt i64 %i9, %v8
  br i1 %more9, label %body9, label %done9
body9:
  %v10 = mul i64 %i6, 16
  %v11 = add i64 %v10, %i9
  store float 0x0000000000000000, ptr %m12
  br label %head13
head13:
  %i13 = phi i64 [ 0, %body9 ], [ %next13, %latch13 ]
  %more13 = icmp slt i64 %i13, 5
  br i1 %more13, label %body13, label %done13
body13:
  %v14 = load float, ptr %m12
  %v15 = mul nsw i64 %v11, 5
  %v16 = add nsw i64 %v15, %i13
  %v17 = getelementptr float, ptr %b1, i64 %v16
  %v18 = load float, ptr %v17, align 4
  %v19 = fadd float %v14, %v18
  store float %v19, ptr %m12
  br label %latch13
latch13:
  %next13 = add nsw i64 %i13, 1
  br label %head13
done13:
  %v20 = load float, ptr %m12
  %v21 = getelementptr float, ptr %b0, i64 %v11
  store float %v20, ptr %v21, align 4
  br label %latch9
latch9:
  %next9 = add nsw i64 %i9, 1
  br label %head9
done9:
  br label %latch6
latch6:
  %next6 = add nsw i64 %i6, 1
  br label %head6
done6:
  ret void
}

define internal void @k3_div(ptr noalias %b0, ptr readonly %b1, ptr readonly %b2, i64 %worker, i64 %workers, i64 %size1) #0 {
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
  br label %head7
head7:
  %i7 = phi i64 [ 0, %body6 ], [ %next7, %latch7 ]
  %more7 = icmp slt i64 %i7, 5
  br i1 %more7, label %body7, label %done7
body7:
  %v8 = mul nsw i64 %i6, 5
  %v9 = add nsw i64 %v8, %i7
  %v10 = getelementptr float, ptr %b1, i64 %v9
  %v11 = load float, ptr %v10, align 4
  %v12 = getelementptr float, ptr %b2, i64 %i6
  %v13 = load float, ptr %v12, align 4
  %v14 = fdiv float %v11, %v13
  %v15 = mul nsw i64 %i6, 5
  %v16 = add nsw i64 %v15, %i7
  %v17 = getelementptr float, ptr %b0, i64 %v16
  store float %v14, ptr %v17, align 4
  br label %latch7
latch7:
  %next7 = add nsw i64 %i7, 1
  br label %head7
done7:
  br label %latch6
latch6:
  %next6 = add nsw i64 %i6, 1
  br label %head6
done6:
  ret void
}
