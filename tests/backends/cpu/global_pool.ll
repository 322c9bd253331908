define internal void @k0_reduce_mean(ptr noalias %b0, ptr readonly %b1, i64 %worker, i64 %workers, i64 %size1) #0 {
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
  %v8 = sub i64 4, %v7
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
  %more13 = icmp slt i64 %i13, 6
  br i1 %more13, label %body13, label %done13
body13:
  br label %head14
head14:
  %i14 = phi i64 [ 0, %body13 ], [ %next14, %latch14 ]
  %more14 = icmp slt i64 %i14, 5
  br i1 %more14, label %body14, label %done14
body14:
  %v15 = load float, ptr %m12
  %v16 = mul nsw i64 %v11, 30
  %v17 = mul nsw i64 %i13, 5
  %v18 = add nsw i64 %v16, %v17
  %v19 = add nsw i64 %v18, %i14
  %v20 = getelementptr float, ptr %b1, i64 %v19
  %v21 = load float, ptr %v20, align 4
  %v22 = fadd float %v15, %v21
  store float %v22, ptr %m12
  br label %latch14
latch14:
  %next14 = add nsw i64 %i14, 1
  br label %head14
done14:
  br label %latch13
latch13:
  %next13 = add nsw i64 %i13, 1
  br label %head13
done13:
  %v23 = load float, ptr %m12
  %v24 = fdiv float %v23, 0x403E000000000000
  %v25 = getelementptr float, ptr %b0, i64 %v11
  store float %v24, ptr %v25, align 4
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
