define internal void @k0_pad(ptr noalias %b0, ptr readonly %b1, i64 %worker, i64 %workers, i64 %size1) #0 {
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
  %more7 = icmp slt i64 %i7, 7
  br i1 %more7, label %body7, label %done7
body7:
  %v8 = add i64 %i7, -2
  %v9 = sub i64 0, %v8
  %v10 = call i64 @llvm.smax.i64(i64 %v8, i64 %v9)
  %v11 = mul nsw i64 %i6, 4
  %v12 = sub i64 6, %v10
  %v13 = call i64 @llvm.smin.i64(i64 %v10, i64 %v12)
  %v14 = add nsw i64 %v11, %v13
  %v15 = getelementptr float, ptr %b1, i64 %v14
  %v16 = load float, ptr %v15, align 4
  %v17 = mul nsw i64 %i6, 7
  %v18 = add nsw i64 %v17, %i7
  %v19 = getelementptr float, ptr %b0, i64 %v18
  store float %v16, ptr %v19, align 4
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
