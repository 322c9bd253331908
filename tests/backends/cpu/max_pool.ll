define internal void @k0_max_pool(ptr noalias %b0, ptr readonly %b1, i64 %worker, i64 %workers, i64 %size1) #0 {
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
  store float 0xFFF0000000000000, ptr %m10
  br label %head11
head11:
  %i11 = phi i64 [ 0, %body9 ], [ %next11, %latch11 ]
  %more11 = icmp slt i64 %i11, 3
  br i1 %more11, label %body11, label %done11
body11:
  br label %head12
head12:
  %i12 = phi i64 [ 0, %body11 ], [ %next12, %latch12 ]
  %more12 = icmp slt i64 %i12, 3
  br i1 %more12, label %body12, label %done12
body12:
  %v13 = mul i64 %v7, 2
  %v14 = add i64 %v13, %i11
  %v15 = add i64 %v14, -1
  %v16 = mul i64 %i9, 2
  %v17 = add i64 %v16, %i12
  %v18 = add i64 %v17, -1
  %v19 = load float, ptr %m10
  %v20 = icmp sge i64 %v15, 0
  %v21 = icmp sge i64 %v18, 0
  %v22 = and i1 %v20, %v21
  %v23 = mul nsw i64 %v8, 36
  %v24 = mul nsw i64 %v15, 6
  %v25 = add nsw i64 %v23, %v24
  %v26 = add nsw i64 %v25, %v18
  %v27 = getelementptr float, ptr %b1, i64 %v26
  %v28 = select i1 %v22, ptr %v27, ptr @zeros
  %v29 = load float, ptr %v28, align 4
  %v30 = select i1 %v22, float %v29, float 0xFFF0000000000000
  %v31 = fcmp ogt float %v19, %v30
  %v32 = select i1 %v31, float %v19, float %v30
  %v33 = fcmp une float %v19, %v19
  %v34 = select i1 %v33, float %v19, float %v32
  store float %v34, ptr %m10
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
  %v35 = load float, ptr %m10
  %v36 = mul nsw i64 %v8, 9
  %v37 = mul nsw i64 %v7, 3
  %v38 = add nsw i64 %v36, %v37
  %v39 = add nsw i64 %v38, %i9
  %v40 = getelementptr float, ptr %b0, i64 %v39
  store float %v35, ptr %v40, align 4
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
