define internal void @k0_gather(ptr noalias %b0, ptr readonly %b1, ptr readonly %b2, i64 %worker, i64 %workers) #0 {
entry:
  br label %body
body:
  %v1 = mul i64 3, %worker
  %v2 = udiv i64 %v1, %workers
  %v3 = add i64 %worker, 1
  %v4 = mul i64 3, %v3
  %v5 = udiv i64 %v4, %workers
  br label %head6
head6:
  %i6 = phi i64 [ %v2, %body ], [ %next6, %latch6 ]
  %more6 = icmp slt i64 %i6, %v5
  br i1 %more6, label %body6, label %done6
body6:
  %v7 = and i64 4, -4
  br label %head8
head8:
  %i8 = phi i64 [ 0, %body6 ], [ %next8, %latch8 ]
  %more8 = icmp slt i64 %i8, %v7
  br i1 %more8, label %body8, label %done8
body8:
  %v9 = getelementptr i32, ptr %b2, i64 %i6
  %v10 = load i32, ptr %v9, align 4
  %v11 = sext i32 %v10 to i64
  %v12 = icmp slt i64 %v11, 0
  %v13 = add i64 %v11, 6
  %v14 = select i1 %v12, i64 %v13, i64 %v11
  %v15 = icmp sge i64 %v14, 0
  %v16 = icmp slt i64 %v14, 6
  %v17 = and i1 %v15, %v16
  %v18 = mul nsw i64 %v14, 4
  %v19 = add nsw i64 %v18, %i8
  %v20 = getelementptr float, ptr %b1, i64 %v19
  %v21 = select i1 %v17, ptr %v20, ptr @zeros
  %v22 = load <4 x float>, ptr %v21, align 4
  %v23 = mul nsw i64 %i6, 4
  %v24 = add nsw i64 %v23, %i8
  %v25 = getelementptr float, ptr %b0, i64 %v24
  store <4 x float> %v22, ptr %v25, align 4
  br label %latch8
latch8:
  %next8 = add nsw i64 %i8, 4
  br label %head8
done8:
  br label %latch6
latch6:
  %next6 = add nsw i64 %i6, 1
  br label %head6
done6:
  ret void
}
