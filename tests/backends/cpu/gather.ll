define internal void @k0_gather(ptr noalias %b0, ptr readonly %b1, ptr readonly %b2, i64 %worker, i64 %workers, i64 %size1) #0 {
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
  %more7 = icmp slt i64 %i7, 4
  br i1 %more7, label %body7, label %done7
body7:
  %v8 = getelementptr i32, ptr %b2, i64 %i6
  %v9 = load i32, ptr %v8, align 4
  %v10 = sext i32 %v9 to i64
  %v11 = icmp slt i64 %v10, 0
  %v12 = add i64 %v10, 6
  %v13 = select i1 %v11, i64 %v12, i64 %v10
  %v14 = icmp sge i64 %v13, 0
  %v15 = icmp slt i64 %v13, 6
  %v16 = and i1 %v14, %v15
  %v17 = mul nsw i64 %v13, 4
  %v18 = add nsw i64 %v17, %i7
  %v19 = getelementptr float, ptr %b1, i64 %v18
  %v20 = select i1 %v16, ptr %v19, ptr @zeros
  %v21 = load float, ptr %v20, align 4
  %v22 = mul nsw i64 %i6, 4
  %v23 = add nsw i64 %v22, %i7
  %v24 = getelementptr float, ptr %b0, i64 %v23
  store float %v21, ptr %v24, align 4
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
