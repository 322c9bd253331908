define internal void @k0_concat(ptr noalias %b0, ptr readonly %b1, ptr readonly %b2, i64 %worker, i64 %workers, i64 %size1) #0 {
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
  %v8 = add i64 %i6, -2
  %v9 = icmp sge i64 %i6, 2
  %v10 = icmp sge i64 %v8, 0
  %v11 = mul nsw i64 %v8, 4
  %v12 = add nsw i64 %v11, %i7
  %v13 = getelementptr float, ptr %b2, i64 %v12
  %v14 = select i1 %v10, ptr %v13, ptr @zeros
  %v15 = load float, ptr %v14, align 4
  %v16 = icmp slt i64 %i6, 2
  %v17 = mul nsw i64 %i6, 4
  %v18 = add nsw i64 %v17, %i7
  %v19 = getelementptr float, ptr %b1, i64 %v18
  %v20 = select i1 %v16, ptr %v19, ptr @zeros
  %v21 = load float, ptr %v20, align 4
  %v22 = select i1 %v9, float %v15, float %v21
  %v23 = mul nsw i64 %i6, 4
  %v24 = add nsw i64 %v23, %i7
  %v25 = getelementptr float, ptr %b0, i64 %v24
  store float %v22, ptr %v25, align 4
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
  br label %head7
head7:
  %i7 = phi i64 [ 0, %body6 ], [ %next7, %latch7 ]
  %more7 = icmp slt i64 %i7, 4
  br i1 %more7, label %body7, label %done7
body7:
  %v8 = mul nsw i64 %i6, 4
  %v9 = add nsw i64 %v8, %i7
  %v10 = getelementptr float, ptr %b1, i64 %v9
  %v11 = load float, ptr %v10, align 4
  %v12 = mul nsw i64 %i6, 4
  %v13 = add nsw i64 %v12, %i7
  %v14 = getelementptr float, ptr %b0, i64 %v13
  store float %v11, ptr %v14, align 4
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
