define internal void @k0_halo(ptr %b0, i64 %worker, i64 %workers, i64 %size1) #0 {
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
  %v7 = mul nsw i64 %i6, 896
  %v8 = getelementptr i8, ptr %b0, i64 %v7
  %v9 = getelementptr i8, ptr %v8, i64 -16
  %v10 = getelementptr i8, ptr %v9, i64 -112
  call void @llvm.memset.p0.i64(ptr %v10, i8 0, i64 112, i1 false)
  %v11 = getelementptr i8, ptr %v9, i64 672
  call void @llvm.memset.p0.i64(ptr %v11, i8 0, i64 112, i1 false)
  br label %head12
head12:
  %i12 = phi i64 [ 0, %body6 ], [ %next12, %latch12 ]
  %more12 = icmp slt i64 %i12, 6
  br i1 %more12, label %body12, label %done12
body12:
  %v13 = mul nsw i64 %i12, 112
  %v14 = getelementptr i8, ptr %v8, i64 %v13
  %v15 = getelementptr i8, ptr %v14, i64 -16
  call void @llvm.memset.p0.i64(ptr %v15, i8 0, i64 16, i1 false)
  %v16 = getelementptr i8, ptr %v14, i64 80
  call void @llvm.memset.p0.i64(ptr %v16, i8 0, i64 16, i1 false)
  br label %latch12
latch12:
  %next12 = add nsw i64 %i12, 1
  br label %head12
done12:
  br label %latch6
latch6:
  %next6 = add nsw i64 %i6, 1
  br label %head6
done6:
  ret void
}

define internal void @k1_copy(ptr noalias %b0, ptr readonly %b1, i64 %worker, i64 %workers, i64 %size1) #0 {
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
  %v7 = urem i64 %i6, 5
  %v8 = udiv i64 %i6, 5
  br label %head9
head9:
  %i9 = phi i64 [ 0, %body6 ], [ %next9, %latch9 ]
  %more9 = icmp slt i64 %i9, 4
  br i1 %more9, label %body9, label %done9
body9:
  %v10 = mul nsw i64 %i9, 30
  %v11 = mul nsw i64 %v8, 5
  %v12 = add nsw i64 %v10, %v11
  %v13 = add nsw i64 %v12, %v7
  %v14 = getelementptr float, ptr %b1, i64 %v13
  %v15 = load float, ptr %v14, align 4
  %v16 = mul nsw i64 %v8, 28
  %v17 = add nsw i64 %i9, %v16
  %v18 = mul nsw i64 %v7, 4
  %v19 = add nsw i64 %v17, %v18
  %v20 = getelementptr float, ptr %b0, i64 %v19
  store float %v15, ptr %v20, align 4
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

define internal void @k2_conv(ptr noalias %b0, ptr readonly %b1, ptr readonly %b2, i64 %worker, i64 %workers, i64 %size1) #0 {
entry:
  %m10 = alloca float, align 64
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
  %v7 = urem i64 %i6, 3
  %v8 = udiv i64 %i6, 3
  br label %head9
head9:
  %i9 = phi i64 [ 0, %body6 ], [ %next9, %latch9 ]
  %more9 = icmp slt i64 %i9, 3
  br i1 %more9, label %body9, label %done9
body9:
  store float 0x0000000000000000, ptr %m10
  br label %head11
head11:
  %i11 = phi i64 [ 0, %body9 ], [ %next11, %latch11 ]
  %more11 = icmp slt i64 %i11, 1
  br i1 %more11, label %body11, label %done11
body11:
  br label %head12
head12:
  %i12 = phi i64 [ 0, %body11 ], [ %next12, %latch12 ]
  %more12 = icmp slt i64 %i12, 3
  br i1 %more12, label %body12, label %done12
body12:
  br label %head13
head13:
  %i13 = phi i64 [ 0, %body12 ], [ %next13, %latch13 ]
  %more13 = icmp slt i64 %i13, 3
  br i1 %more13, label %body13, label %done13
body13:
  %v14 = add i64 %v8, %i11
  %v15 = mul i64 %v7, 2
  %v16 = add i64 %v15, %i12
  %v17 = add i64 %v16, -1
  %v18 = mul nsw i64 %v17, 28
  %v19 = add nsw i64 %v14, %v18
  %v20 = mul i64 %i9, 2
  %v21 = add i64 %v20, %i13
  %v22 = add i64 %v21, -1
  %v23 = mul nsw i64 %v22, 4
  %v24 = add nsw i64 %v19, %v23
  %v25 = getelementptr float, ptr %b1, i64 %v24
  %v26 = load float, ptr %v25, align 4
  %v27 = mul nsw i64 %i11, 36
  %v28 = add nsw i64 %v8, %v27
  %v29 = mul nsw i64 %i12, 12
  %v30 = add nsw i64 %v28, %v29
  %v31 = mul nsw i64 %i13, 4
  %v32 = add nsw i64 %v30, %v31
  %v33 = getelementptr float, ptr %b2, i64 %v32
  %v34 = load float, ptr %v33, align 4
  %v35 = load float, ptr %m10
  %v36 = call float @llvm.fma.f32(float %v26, float %v34, float %v35)
  store float %v36, ptr %m10
  br label %latch13
latch13:
  %next13 = add nsw i64 %i13, 1
  br label %head13
done13:
  br label %latch12
latch12:
  %next12 = add nsw i64 %i12, 1
  br label %head12
done12:
  br label %latch11
latch11:
  %next11 = add nsw i64 %i11, 1
  br label %head11
done11:
  %v37 = load float, ptr %m10
  %v38 = mul nsw i64 %v8, 9
  %v39 = mul nsw i64 %v7, 3
  %v40 = add nsw i64 %v38, %v39
  %v41 = add nsw i64 %v40, %i9
  %v42 = getelementptr float, ptr %b0, i64 %v41
  store float %v37, ptr %v42, align 4
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
