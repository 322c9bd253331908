define internal void @k0_relu(ptr noalias %b0, ptr readonly %b1, i64 %worker, i64 %workers, i64 %size1) #0 {
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
  %v7 = and i64 16, -16
  br label %head8
head8:
  %i8 = phi i64 [ 0, %body6 ], [ %next8, %latch8 ]
  %more8 = icmp slt i64 %i8, %v7
  br i1 %more8, label %body8, label %done8
body8:
  %v9 = mul i64 %i6, 16
  %v10 = insertelement <16 x i64> poison, i64 %i8, i64 0
  %v11 = shufflevector <16 x i64> %v10, <16 x i64> poison, <16 x i32> zeroinitializer
  %v12 = add <16 x i64> %v11, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v13 = insertelement <16 x i64> poison, i64 %v9, i64 0
  %v14 = shufflevector <16 x i64> %v13, <16 x i64> poison, <16 x i32> zeroinitializer
  %v15 = add <16 x i64> %v14, %v12
  %v16 = extractelement <16 x i64> %v15, i64 0
  %v17 = getelementptr float, ptr %b1, i64 %v16
  %v18 = load <16 x float>, ptr %v17, align 4
  %v19 = fcmp ogt <16 x float> splat (float 0x0000000000000000), %v18
  %v20 = select <16 x i1> %v19, <16 x float> splat (float 0x0000000000000000), <16 x float> %v18
  %v21 = extractelement <16 x i64> %v15, i64 0
  %v22 = getelementptr float, ptr %b0, i64 %v21
  store <16 x float> %v20, ptr %v22, align 4
  br label %latch8
latch8:
  %next8 = add nsw i64 %i8, 16
  br label %head8
done8:
  br label %latch6
latch6:
  %next6 = add nsw i64 %i6, 1
  br label %head6
done6:
  ret void
}
