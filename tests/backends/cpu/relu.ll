define internal void @k0_relu(ptr noalias %b0, ptr readonly %b1, i64 %worker, i64 %workers) #0 {
entry:
  br label %body
body:
  %v1 = mul i64 2, %worker
  %v2 = udiv i64 %v1, %workers
  %v3 = add i64 %worker, 1
  %v4 = mul i64 2, %v3
  %v5 = udiv i64 %v4, %workers
  br label %head6
head6:
  %i6 = phi i64 [ %v2, %body ], [ %next6, %latch6 ]
  %more6 = icmp slt i64 %i6, %v5
  br i1 %more6, label %body6, label %done6
body6:
  %v7 = and i64 8, -4
  br label %head8
head8:
  %i8 = phi i64 [ 0, %body6 ], [ %next8, %latch8 ]
  %more8 = icmp slt i64 %i8, %v7
  br i1 %more8, label %body8, label %done8
body8:
  %v9 = mul nsw i64 %i6, 8
  %v10 = add nsw i64 %v9, %i8
  %v11 = getelementptr float, ptr %b1, i64 %v10
  %v12 = load <4 x float>, ptr %v11, align 4
  %v13 = fcmp ogt <4 x float> splat (float 0x0000000000000000), %v12
  %v14 = select <4 x i1> %v13, <4 x float> splat (float 0x0000000000000000), <4 x float> %v12
  %v15 = mul nsw i64 %i6, 8
  %v16 = add nsw i64 %v15, %i8
  %v17 = getelementptr float, ptr %b0, i64 %v16
  store <4 x float> %v14, ptr %v17, align 4
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
