define internal void @k0_add(ptr noalias %b0, ptr readonly %b1, ptr readonly %b2, i64 %worker, i64 %workers) #0 {
entry:
  br label %body
body:
  %v1 = mul i64 6, %worker
  %v2 = udiv i64 %v1, %workers
  %v3 = add i64 %worker, 1
  %v4 = mul i64 6, %v3
  %v5 = udiv i64 %v4, %workers
  br label %head6
head6:
  %i6 = phi i64 [ %v2, %body ], [ %next6, %latch6 ]
  %more6 = icmp slt i64 %i6, %v5
  br i1 %more6, label %body6, label %done6
body6:
  %v7 = urem i64 %i6, 3
  %v8 = udiv i64 %i6, 3
  %v9 = and i64 4, -4
  br label %head10
head10:
  %i10 = phi i64 [ 0, %body6 ], [ %next10, %latch10 ]
  %more10 = icmp slt i64 %i10, %v9
  br i1 %more10, label %body10, label %done10
body10:
  %v11 = mul nsw i64 %v8, 12
  %v12 = mul nsw i64 %v7, 4
  %v13 = add nsw i64 %v11, %v12
  %v14 = add nsw i64 %v13, %i10
  %v15 = getelementptr float, ptr %b1, i64 %v14
  %v16 = load <4 x float>, ptr %v15, align 4
  %v17 = getelementptr float, ptr %b2, i64 %v7
  %v18 = load float, ptr %v17, align 4
  %v19 = insertelement <4 x float> poison, float %v18, i64 0
  %v20 = shufflevector <4 x float> %v19, <4 x float> poison, <4 x i32> zeroinitializer
  %v21 = fadd <4 x float> %v16, %v20
  %v22 = mul nsw i64 %v8, 12
  %v23 = mul nsw i64 %v7, 4
  %v24 = add nsw i64 %v22, %v23
  %v25 = add nsw i64 %v24, %i10
  %v26 = getelementptr float, ptr %b0, i64 %v25
  store <4 x float> %v21, ptr %v26, align 4
  br label %latch10
latch10:
  %next10 = add nsw i64 %i10, 4
  br label %head10
done10:
  br label %latch6
latch6:
  %next6 = add nsw i64 %i6, 1
  br label %head6
done6:
  ret void
}
