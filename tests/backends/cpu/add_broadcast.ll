define internal void @k0_add(ptr noalias %b0, ptr readonly %b1, ptr readonly %b2, i64 %worker, i64 %workers, i64 %size1) #0 {
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
  %v7 = urem i64 %i6, 3
  %v8 = udiv i64 %i6, 3
  br label %head9
head9:
  %i9 = phi i64 [ 0, %body6 ], [ %next9, %latch9 ]
  %more9 = icmp slt i64 %i9, 4
  br i1 %more9, label %body9, label %done9
body9:
  %v10 = mul nsw i64 %v8, 12
  %v11 = mul nsw i64 %v7, 4
  %v12 = add nsw i64 %v10, %v11
  %v13 = add nsw i64 %v12, %i9
  %v14 = getelementptr float, ptr %b1, i64 %v13
  %v15 = load float, ptr %v14, align 4
  %v16 = getelementptr float, ptr %b2, i64 %v7
  %v17 = load float, ptr %v16, align 4
  %v18 = fadd float %v15, %v17
  %v19 = mul nsw i64 %v8, 12
  %v20 = mul nsw i64 %v7, 4
  %v21 = add nsw i64 %v19, %v20
  %v22 = add nsw i64 %v21, %i9
  %v23 = getelementptr float, ptr %b0, i64 %v22
  store float %v18, ptr %v23, align 4
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
