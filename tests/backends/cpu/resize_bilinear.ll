define internal void @k0_resize(ptr noalias %b0, ptr readonly %b1, i64 %worker, i64 %workers) #0 {
entry:
  br label %body
body:
  %v1 = mul i64 12, %worker
  %v2 = udiv i64 %v1, %workers
  %v3 = add i64 %worker, 1
  %v4 = mul i64 12, %v3
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
  %v11 = add i64 %v10, -1
  %v12 = icmp eq i64 4, 0
  %v13 = icmp eq i64 4, -1
  %v14 = or i1 %v12, %v13
  %v15 = select i1 %v14, i64 1, i64 4
  %v16 = srem i64 %v11, %v15
  %v17 = sdiv i64 %v11, %v15
  %v18 = icmp ne i64 %v16, 0
  %v19 = icmp slt i64 %v16, 0
  %v20 = icmp slt i64 %v15, 0
  %v21 = xor i1 %v19, %v20
  %v22 = and i1 %v18, %v21
  %v23 = sub i64 %v17, 1
  %v24 = select i1 %v22, i64 %v23, i64 %v17
  %v25 = sub i64 0, %v11
  %v26 = select i1 %v13, i64 %v25, i64 %v24
  %v27 = select i1 %v12, i64 0, i64 %v26
  %v28 = call i64 @llvm.smax.i64(i64 %v27, i64 0)
  %v29 = mul i64 %i9, 2
  %v30 = add i64 %v29, -1
  %v31 = icmp eq i64 4, 0
  %v32 = icmp eq i64 4, -1
  %v33 = or i1 %v31, %v32
  %v34 = select i1 %v33, i64 1, i64 4
  %v35 = srem i64 %v30, %v34
  %v36 = sdiv i64 %v30, %v34
  %v37 = icmp ne i64 %v35, 0
  %v38 = icmp slt i64 %v35, 0
  %v39 = icmp slt i64 %v34, 0
  %v40 = xor i1 %v38, %v39
  %v41 = and i1 %v37, %v40
  %v42 = sub i64 %v36, 1
  %v43 = select i1 %v41, i64 %v42, i64 %v36
  %v44 = sub i64 0, %v30
  %v45 = select i1 %v32, i64 %v44, i64 %v43
  %v46 = select i1 %v31, i64 0, i64 %v45
  %v47 = call i64 @llvm.smax.i64(i64 %v46, i64 0)
  %v48 = icmp eq i64 4, 0
  %v49 = icmp eq i64 4, -1
  %v50 = or i1 %v48, %v49
  %v51 = select i1 %v50, i64 1, i64 4
  %v52 = srem i64 %v30, %v51
  %v53 = icmp ne i64 %v52, 0
  %v54 = icmp slt i64 %v52, 0
  %v55 = icmp slt i64 %v51, 0
  %v56 = xor i1 %v54, %v55
  %v57 = and i1 %v53, %v56
  %v58 = add i64 %v52, %v51
  %v59 = select i1 %v57, i64 %v58, i64 %v52
  %v60 = select i1 %v50, i64 0, i64 %v59
  %v61 = sitofp i64 %v60 to float
  %v62 = fdiv float %v61, 0x4010000000000000
  %v63 = fsub float 0x3FF0000000000000, %v62
  %v64 = add i64 %v46, 1
  %v65 = call i64 @llvm.smin.i64(i64 %v64, i64 3)
  %v66 = icmp eq i64 4, 0
  %v67 = icmp eq i64 4, -1
  %v68 = or i1 %v66, %v67
  %v69 = select i1 %v68, i64 1, i64 4
  %v70 = srem i64 %v11, %v69
  %v71 = icmp ne i64 %v70, 0
  %v72 = icmp slt i64 %v70, 0
  %v73 = icmp slt i64 %v69, 0
  %v74 = xor i1 %v72, %v73
  %v75 = and i1 %v71, %v74
  %v76 = add i64 %v70, %v69
  %v77 = select i1 %v75, i64 %v76, i64 %v70
  %v78 = select i1 %v68, i64 0, i64 %v77
  %v79 = sitofp i64 %v78 to float
  %v80 = fdiv float %v79, 0x4010000000000000
  %v81 = add i64 %v27, 1
  %v82 = call i64 @llvm.smin.i64(i64 %v81, i64 2)
  %v83 = mul nsw i64 %v8, 12
  %v84 = mul nsw i64 %v28, 4
  %v85 = add nsw i64 %v83, %v84
  %v86 = add nsw i64 %v85, %v47
  %v87 = getelementptr float, ptr %b1, i64 %v86
  %v88 = load float, ptr %v87, align 4
  %v89 = fmul float %v88, %v63
  %v90 = mul nsw i64 %v8, 12
  %v91 = mul nsw i64 %v28, 4
  %v92 = add nsw i64 %v90, %v91
  %v93 = add nsw i64 %v92, %v65
  %v94 = getelementptr float, ptr %b1, i64 %v93
  %v95 = load float, ptr %v94, align 4
  %v96 = fmul float %v95, %v62
  %v97 = fadd float %v89, %v96
  %v98 = fsub float 0x3FF0000000000000, %v80
  %v99 = fmul float %v97, %v98
  %v100 = mul nsw i64 %v8, 12
  %v101 = mul nsw i64 %v82, 4
  %v102 = add nsw i64 %v100, %v101
  %v103 = add nsw i64 %v102, %v47
  %v104 = getelementptr float, ptr %b1, i64 %v103
  %v105 = load float, ptr %v104, align 4
  %v106 = fmul float %v105, %v63
  %v107 = mul nsw i64 %v8, 12
  %v108 = mul nsw i64 %v82, 4
  %v109 = add nsw i64 %v107, %v108
  %v110 = add nsw i64 %v109, %v65
  %v111 = getelementptr float, ptr %b1, i64 %v110
  %v112 = load float, ptr %v111, align 4
  %v113 = fmul float %v112, %v62
  %v114 = fadd float %v106, %v113
  %v115 = fmul float %v114, %v80
  %v116 = fadd float %v99, %v115
  %v117 = mul nsw i64 %v8, 48
  %v118 = mul nsw i64 %v7, 8
  %v119 = add nsw i64 %v117, %v118
  %v120 = add nsw i64 %v119, %i9
  %v121 = getelementptr float, ptr %b0, i64 %v120
  store float %v116, ptr %v121, align 4
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
