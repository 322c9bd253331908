define internal void @k0_reduce_sum(ptr noalias %b0, ptr readonly %b1, i64 %worker, i64 %workers, i64 %size1) #0 {
entry:
  %m8 = alloca float, align 64
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
  store float 0x0000000000000000, ptr %m8
  br label %head9
head9:
  %i9 = phi i64 [ 0, %body7 ], [ %next9, %latch9 ]
  %more9 = icmp slt i64 %i9, 3
  br i1 %more9, label %body9, label %done9
body9:
  %v10 = load float, ptr %m8
  %v11 = mul nsw i64 %i6, 12
  %v12 = mul nsw i64 %i9, 4
  %v13 = add nsw i64 %v11, %v12
  %v14 = add nsw i64 %v13, %i7
  %v15 = getelementptr float, ptr %b1, i64 %v14
  %v16 = load float, ptr %v15, align 4
  %v17 = fadd float %v10, %v16
  store float %v17, ptr %m8
  br label %latch9
latch9:
  %next9 = add nsw i64 %i9, 1
  br label %head9
done9:
  %v18 = load float, ptr %m8
  %v19 = mul nsw i64 %i6, 4
  %v20 = add nsw i64 %v19, %i7
  %v21 = getelementptr float, ptr %b0, i64 %v20
  store float %v18, ptr %v21, align 4
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
