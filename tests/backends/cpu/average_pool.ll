define internal void @k0_average_pool(ptr noalias %b0, ptr readonly %b1, i64 %worker, i64 %workers, i64 %size1) #0 {
entry:
  %m10 = alloca float, align 64
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
  %v7 = urem i64 %i6, 4
  %v8 = udiv i64 %i6, 4
  br label %head9
head9:
  %i9 = phi i64 [ 0, %body6 ], [ %next9, %latch9 ]
  %more9 = icmp slt i64 %i9, 4
  br i1 %more9, label %body9, label %done9
body9:
  store float 0x0000000000000000, ptr %m10
  br label %head11
head11:
  %i11 = phi i64 [ 0, %body9 ], [ %next11, %latch11 ]
  %more11 = icmp slt i64 %i11, 2
  br i1 %more11, label %body11, label %done11
body11:
  br label %head12
head12:
  %i12 = phi i64 [ 0, %body11 ], [ %next12, %latch12 ]
  %more12 = icmp slt i64 %i12, 2
  br i1 %more12, label %body12, label %done12
body12:
  %v13 = mul i64 %v7, 2
  %v14 = add i64 %v13, %i11
  %v15 = add i64 %v14, -1
  %v16 = mul i64 %i9, 2
  %v17 = add i64 %v16, %i12
  %v18 = add i64 %v17, -1
  %v19 = load float, ptr %m10
  %v20 = icmp sge i64 %v15, 0
  %v21 = icmp slt i64 %v15, 6
  %v22 = and i1 %v20, %v21
  %v23 = icmp sge i64 %v18, 0
  %v24 = and i1 %v22, %v23
  %v25 = icmp slt i64 %v18, 6
  %v26 = and i1 %v24, %v25
  %v27 = mul nsw i64 %v8, 36
  %v28 = mul nsw i64 %v15, 6
  %v29 = add nsw i64 %v27, %v28
  %v30 = add nsw i64 %v29, %v18
  %v31 = getelementptr float, ptr %b1, i64 %v30
  %v32 = select i1 %v26, ptr %v31, ptr @zeros
  %v33 = load float, ptr %v32, align 4
  %v34 = fadd float %v19, %v33
  store float %v34, ptr %m10
  br label %latch12
latch12:
  %next12 = add nsw i64 %i12, 1
  br label %head12
done12:
  br label %latch11
latch11:
  %next11 = add nsw i64 %i11, 1
  br label %head11
done11:
  %v35 = mul i64 %v7, 2
  %v36 = mul i64 %i9, 2
  %v37 = load float, ptr %m10
  %v38 = add i64 %v35, 1
  %v39 = call i64 @llvm.smin.i64(i64 %v38, i64 6)
  %v40 = add i64 %v35, -1
  %v41 = call i64 @llvm.smax.i64(i64 %v40, i64 0)
  %v42 = sub i64 %v39, %v41
  %v43 = add i64 %v36, 1
  %v44 = call i64 @llvm.smin.i64(i64 %v43, i64 6)
  %v45 = add i64 %v36, -1
  %v46 = call i64 @llvm.smax.i64(i64 %v45, i64 0)
  %v47 = sub i64 %v44, %v46
  %v48 = mul i64 %v42, %v47
  %v49 = sitofp i64 %v48 to float
  %v50 = fdiv float %v37, %v49
  %v51 = mul nsw i64 %v8, 16
  %v52 = mul nsw i64 %v7, 4
  %v53 = add nsw i64 %v51, %v52
  %v54 = add nsw i64 %v53, %i9
  %v55 = getelementptr float, ptr %b0, i64 %v54
  store float %v50, ptr %v55, align 4
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
