define internal void @k0_resize(ptr noalias %b0, ptr readonly %b1, i64 %worker, i64 %workers, i64 %size1) #0 {
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
  %v7 = urem i64 %i6, 6
  %v8 = udiv i64 %i6, 6
  br label %head9
head9:
  %i9 = phi i64 [ 0, %body6 ], [ %next9, %latch9 ]
  %more9 = icmp slt i64 %i9, 8
  br i1 %more9, label %body9, label %done9
body9:
  %v10 = mul i64 %v7, 2
  %v11 = add i64 %v10, 3
  %v12 = udiv i64 %v11, 4
  %v13 = add i64 %v12, -1
  %v14 = call i64 @llvm.smax.i64(i64 %v13, i64 0)
  %v15 = mul i64 %i9, 2
  %v16 = add i64 %v15, 3
  %v17 = udiv i64 %v16, 4
  %v18 = add i64 %v17, -1
  %v19 = call i64 @llvm.smax.i64(i64 %v18, i64 0)
  %v20 = urem i64 %v16, 4
  %v21 = sitofp i64 %v20 to float
  %v22 = fdiv float %v21, 0x4010000000000000
  %v23 = fsub float 0x3FF0000000000000, %v22
  %v24 = call i64 @llvm.smin.i64(i64 %v17, i64 3)
  %v25 = urem i64 %v11, 4
  %v26 = sitofp i64 %v25 to float
  %v27 = fdiv float %v26, 0x4010000000000000
  %v28 = call i64 @llvm.smin.i64(i64 %v12, i64 2)
  %v29 = mul nsw i64 %v8, 12
  %v30 = mul nsw i64 %v14, 4
  %v31 = add nsw i64 %v29, %v30
  %v32 = add nsw i64 %v31, %v19
  %v33 = getelementptr float, ptr %b1, i64 %v32
  %v34 = load float, ptr %v33, align 4
  %v35 = fmul float %v34, %v23
  %v36 = mul nsw i64 %v8, 12
  %v37 = mul nsw i64 %v14, 4
  %v38 = add nsw i64 %v36, %v37
  %v39 = add nsw i64 %v38, %v24
  %v40 = getelementptr float, ptr %b1, i64 %v39
  %v41 = load float, ptr %v40, align 4
  %v42 = fmul float %v41, %v22
  %v43 = fadd float %v35, %v42
  %v44 = fsub float 0x3FF0000000000000, %v27
  %v45 = fmul float %v43, %v44
  %v46 = mul nsw i64 %v8, 12
  %v47 = mul nsw i64 %v28, 4
  %v48 = add nsw i64 %v46, %v47
  %v49 = add nsw i64 %v48, %v19
  %v50 = getelementptr float, ptr %b1, i64 %v49
  %v51 = load float, ptr %v50, align 4
  %v52 = fmul float %v51, %v23
  %v53 = mul nsw i64 %v8, 12
  %v54 = mul nsw i64 %v28, 4
  %v55 = add nsw i64 %v53, %v54
  %v56 = add nsw i64 %v55, %v24
  %v57 = getelementptr float, ptr %b1, i64 %v56
  %v58 = load float, ptr %v57, align 4
  %v59 = fmul float %v58, %v22
  %v60 = fadd float %v52, %v59
  %v61 = fmul float %v60, %v27
  %v62 = fadd float %v45, %v61
  %v63 = mul nsw i64 %v8, 48
  %v64 = mul nsw i64 %v7, 8
  %v65 = add nsw i64 %v63, %v64
  %v66 = add nsw i64 %v65, %i9
  %v67 = getelementptr float, ptr %b0, i64 %v66
  store float %v62, ptr %v67, align 4
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
