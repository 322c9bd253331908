define internal void @k0_halo(ptr %b0, i64 %worker, i64 %workers, i64 %size1) #0 {
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
  %v7 = mul nsw i64 %i6, 672
  %v8 = getelementptr i8, ptr %b0, i64 %v7
  %v9 = getelementptr i8, ptr %v8, i64 -12
  %v10 = getelementptr i8, ptr %v9, i64 -84
  call void @llvm.memset.p0.i64(ptr %v10, i8 0, i64 84, i1 false)
  %v11 = getelementptr i8, ptr %v9, i64 504
  call void @llvm.memset.p0.i64(ptr %v11, i8 0, i64 84, i1 false)
  br label %head12
head12:
  %i12 = phi i64 [ 0, %body6 ], [ %next12, %latch12 ]
  %more12 = icmp slt i64 %i12, 6
  br i1 %more12, label %body12, label %done12
body12:
  %v13 = mul nsw i64 %i12, 84
  %v14 = getelementptr i8, ptr %v8, i64 %v13
  %v15 = getelementptr i8, ptr %v14, i64 -12
  call void @llvm.memset.p0.i64(ptr %v15, i8 0, i64 12, i1 false)
  %v16 = getelementptr i8, ptr %v14, i64 60
  call void @llvm.memset.p0.i64(ptr %v16, i8 0, i64 12, i1 false)
  br label %latch12
latch12:
  %next12 = add nsw i64 %i12, 1
  br label %head12
done12:
  br label %latch6
latch6:
  %next6 = add nsw i64 %i6, 1
  br label %head6
done6:
  ret void
}

define internal void @k1_copy(ptr noalias %b0, ptr readonly %b1, i64 %worker, i64 %workers, i64 %size1) #0 {
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
  %v7 = urem i64 %i6, 5
  %v8 = udiv i64 %i6, 5
  br label %head9
head9:
  %i9 = phi i64 [ 0, %body6 ], [ %next9, %latch9 ]
  %more9 = icmp slt i64 %i9, 3
  br i1 %more9, label %body9, label %done9
body9:
  %v10 = mul nsw i64 %i9, 30
  %v11 = mul nsw i64 %v8, 5
  %v12 = add nsw i64 %v10, %v11
  %v13 = add nsw i64 %v12, %v7
  %v14 = getelementptr float, ptr %b1, i64 %v13
  %v15 = load float, ptr %v14, align 4
  %v16 = mul nsw i64 %v8, 21
  %v17 = add nsw i64 %i9, %v16
  %v18 = mul nsw i64 %v7, 3
  %v19 = add nsw i64 %v17, %v18
  %v20 = getelementptr float, ptr %b0, i64 %v19
  store float %v15, ptr %v20, align 4
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

define internal void @k2_cpu_conv(ptr noalias %b0, ptr readonly %b1, ptr readonly %b2, i64 %worker, i64 %workers, i64 %size1) #0 {
entry:
  %m21 = alloca <16 x float>, align 64
  %m22 = alloca <16 x float>, align 64
  %m23 = alloca <16 x float>, align 64
  %m24 = alloca <16 x float>, align 64
  %m25 = alloca <16 x float>, align 64
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
  %more7 = icmp slt i64 %i7, 1
  br i1 %more7, label %body7, label %done7
body7:
  %v8 = urem i64 %i6, 6
  %v9 = udiv i64 %i6, 6
  %v10 = mul nsw i64 %v9, 168
  %v11 = add nsw i64 -24, %v10
  %v12 = mul nsw i64 %v8, 21
  %v13 = add nsw i64 %v11, %v12
  %v14 = mul nsw i64 %v13, 4
  %v15 = getelementptr i8, ptr %b1, i64 %v14
  %v16 = mul nsw i64 %i7, 1728
  %v17 = getelementptr i8, ptr %b2, i64 %v16
  %v18 = mul nsw i64 %i7, 16
  br label %head19
head19:
  %i19 = phi i64 [ 0, %body7 ], [ %next19, %latch19 ]
  %more19 = icmp slt i64 %i19, 1
  br i1 %more19, label %body19, label %done19
body19:
  %v20 = mul nsw i64 %i19, 5
  store <16 x float> zeroinitializer, ptr %m21
  store <16 x float> zeroinitializer, ptr %m22
  store <16 x float> zeroinitializer, ptr %m23
  store <16 x float> zeroinitializer, ptr %m24
  store <16 x float> zeroinitializer, ptr %m25
  %v26 = mul nsw i64 %v20, 12
  %v27 = getelementptr i8, ptr %v15, i64 %v26
  br label %head28
head28:
  %i28 = phi i64 [ 0, %body19 ], [ %next28, %latch28 ]
  %more28 = icmp slt i64 %i28, 3
  br i1 %more28, label %body28, label %done28
body28:
  %v29 = mul nsw i64 %i28, 84
  %v30 = getelementptr i8, ptr %v27, i64 %v29
  %v31 = mul nsw i64 %i28, 576
  %v32 = getelementptr i8, ptr %v17, i64 %v31
  br label %head33
head33:
  %i33 = phi i64 [ 0, %body28 ], [ %next33, %latch33 ]
  %more33 = icmp slt i64 %i33, 9
  br i1 %more33, label %body33, label %done33
body33:
  %v34 = mul nsw i64 %i33, 4
  %v35 = getelementptr i8, ptr %v30, i64 %v34
  %v36 = mul nsw i64 %i33, 64
  %v37 = getelementptr i8, ptr %v32, i64 %v36
  %v38 = load <16 x float>, ptr %v37, align 64
  %v39 = load float, ptr %v35, align 4
  %v40 = insertelement <16 x float> poison, float %v39, i64 0
  %v41 = shufflevector <16 x float> %v40, <16 x float> poison, <16 x i32> zeroinitializer
  %v42 = load <16 x float>, ptr %m21
  %v43 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v41, <16 x float> %v38, <16 x float> %v42)
  store <16 x float> %v43, ptr %m21
  %v44 = getelementptr i8, ptr %v35, i64 12
  %v45 = load float, ptr %v44, align 4
  %v46 = insertelement <16 x float> poison, float %v45, i64 0
  %v47 = shufflevector <16 x float> %v46, <16 x float> poison, <16 x i32> zeroinitializer
  %v48 = load <16 x float>, ptr %m22
  %v49 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v47, <16 x float> %v38, <16 x float> %v48)
  store <16 x float> %v49, ptr %m22
  %v50 = getelementptr i8, ptr %v35, i64 24
  %v51 = load float, ptr %v50, align 4
  %v52 = insertelement <16 x float> poison, float %v51, i64 0
  %v53 = shufflevector <16 x float> %v52, <16 x float> poison, <16 x i32> zeroinitializer
  %v54 = load <16 x float>, ptr %m23
  %v55 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v53, <16 x float> %v38, <16 x float> %v54)
  store <16 x float> %v55, ptr %m23
  %v56 = getelementptr i8, ptr %v35, i64 36
  %v57 = load float, ptr %v56, align 4
  %v58 = insertelement <16 x float> poison, float %v57, i64 0
  %v59 = shufflevector <16 x float> %v58, <16 x float> poison, <16 x i32> zeroinitializer
  %v60 = load <16 x float>, ptr %m24
  %v61 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v59, <16 x float> %v38, <16 x float> %v60)
  store <16 x float> %v61, ptr %m24
  %v62 = getelementptr i8, ptr %v35, i64 48
  %v63 = load float, ptr %v62, align 4
  %v64 = insertelement <16 x float> poison, float %v63, i64 0
  %v65 = shufflevector <16 x float> %v64, <16 x float> poison, <16 x i32> zeroinitializer
  %v66 = load <16 x float>, ptr %m25
  %v67 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v65, <16 x float> %v38, <16 x float> %v66)
  store <16 x float> %v67, ptr %m25
  %v68 = getelementptr i8, ptr %v37, i64 64
  %v69 = load <16 x float>, ptr %v68, align 64
  %v70 = getelementptr i8, ptr %v35, i64 4
  %v71 = load float, ptr %v70, align 4
  %v72 = insertelement <16 x float> poison, float %v71, i64 0
  %v73 = shufflevector <16 x float> %v72, <16 x float> poison, <16 x i32> zeroinitializer
  %v74 = load <16 x float>, ptr %m21
  %v75 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v73, <16 x float> %v69, <16 x float> %v74)
  store <16 x float> %v75, ptr %m21
  %v76 = getelementptr i8, ptr %v35, i64 16
  %v77 = load float, ptr %v76, align 4
  %v78 = insertelement <16 x float> poison, float %v77, i64 0
  %v79 = shufflevector <16 x float> %v78, <16 x float> poison, <16 x i32> zeroinitializer
  %v80 = load <16 x float>, ptr %m22
  %v81 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v79, <16 x float> %v69, <16 x float> %v80)
  store <16 x float> %v81, ptr %m22
  %v82 = getelementptr i8, ptr %v35, i64 28
  %v83 = load float, ptr %v82, align 4
  %v84 = insertelement <16 x float> poison, float %v83, i64 0
  %v85 = shufflevector <16 x float> %v84, <16 x float> poison, <16 x i32> zeroinitializer
  %v86 = load <16 x float>, ptr %m23
  %v87 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v85, <16 x float> %v69, <16 x float> %v86)
  store <16 x float> %v87, ptr %m23
  %v88 = getelementptr i8, ptr %v35, i64 40
  %v89 = load float, ptr %v88, align 4
  %v90 = insertelement <16 x float> poison, float %v89, i64 0
  %v91 = shufflevector <16 x float> %v90, <16 x float> poison, <16 x i32> zeroinitializer
  %v92 = load <16 x float>, ptr %m24
  %v93 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v91, <16 x float> %v69, <16 x float> %v92)
  store <16 x float> %v93, ptr %m24
  %v94 = getelementptr i8, ptr %v35, i64 52
  %v95 = load float, ptr %v94, align 4
  %v96 = insertelement <16 x float> poison, float %v95, i64 0
  %v97 = shufflevector <16 x float> %v96, <16 x float> poison, <16 x i32> zeroinitializer
  %v98 = load <16 x float>, ptr %m25
  %v99 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v97, <16 x float> %v69, <16 x float> %v98)
  store <16 x float> %v99, ptr %m25
  %v100 = getelementptr i8, ptr %v37, i64 128
  %v101 = load <16 x float>, ptr %v100, align 64
  %v102 = getelementptr i8, ptr %v35, i64 8
  %v103 = load float, ptr %v102, align 4
  %v104 = insertelement <16 x float> poison, float %v103, i64 0
  %v105 = shufflevector <16 x float> %v104, <16 x float> poison, <16 x i32> zeroinitializer
  %v106 = load <16 x float>, ptr %m21
  %v107 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v105, <16 x float> %v101, <16 x float> %v106)
  store <16 x float> %v107, ptr %m21
  %v108 = getelementptr i8, ptr %v35, i64 20
  %v109 = load float, ptr %v108, align 4
  %v110 = insertelement <16 x float> poison, float %v109, i64 0
  %v111 = shufflevector <16 x float> %v110, <16 x float> poison, <16 x i32> zeroinitializer
  %v112 = load <16 x float>, ptr %m22
  %v113 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v111, <16 x float> %v101, <16 x float> %v112)
  store <16 x float> %v113, ptr %m22
  %v114 = getelementptr i8, ptr %v35, i64 32
  %v115 = load float, ptr %v114, align 4
  %v116 = insertelement <16 x float> poison, float %v115, i64 0
  %v117 = shufflevector <16 x float> %v116, <16 x float> poison, <16 x i32> zeroinitializer
  %v118 = load <16 x float>, ptr %m23
  %v119 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v117, <16 x float> %v101, <16 x float> %v118)
  store <16 x float> %v119, ptr %m23
  %v120 = getelementptr i8, ptr %v35, i64 44
  %v121 = load float, ptr %v120, align 4
  %v122 = insertelement <16 x float> poison, float %v121, i64 0
  %v123 = shufflevector <16 x float> %v122, <16 x float> poison, <16 x i32> zeroinitializer
  %v124 = load <16 x float>, ptr %m24
  %v125 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v123, <16 x float> %v101, <16 x float> %v124)
  store <16 x float> %v125, ptr %m24
  %v126 = getelementptr i8, ptr %v35, i64 56
  %v127 = load float, ptr %v126, align 4
  %v128 = insertelement <16 x float> poison, float %v127, i64 0
  %v129 = shufflevector <16 x float> %v128, <16 x float> poison, <16 x i32> zeroinitializer
  %v130 = load <16 x float>, ptr %m25
  %v131 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v129, <16 x float> %v101, <16 x float> %v130)
  store <16 x float> %v131, ptr %m25
  br label %latch33
latch33:
  %next33 = add nsw i64 %i33, 3
  br label %head33
done33:
  br label %latch28
latch28:
  %next28 = add nsw i64 %i28, 1
  br label %head28
done28:
  %v132 = load <16 x float>, ptr %m21
  %v133 = mul nsw i64 %v9, 120
  %v134 = add nsw i64 %v133, %v18
  %v135 = mul nsw i64 %v8, 20
  %v136 = add nsw i64 %v134, %v135
  %v137 = mul nsw i64 %v20, 4
  %v138 = add nsw i64 %v136, %v137
  %v139 = getelementptr float, ptr %b0, i64 %v138
  %v140 = insertelement <16 x i64> poison, i64 %v18, i64 0
  %v141 = shufflevector <16 x i64> %v140, <16 x i64> poison, <16 x i32> zeroinitializer
  %v142 = add <16 x i64> %v141, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v143 = icmp slt <16 x i64> %v142, splat (i64 4)
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v132, ptr %v139, i32 4, <16 x i1> %v143)
  %v144 = add nsw i64 %v20, 1
  %v145 = load <16 x float>, ptr %m22
  %v146 = mul nsw i64 %v9, 120
  %v147 = add nsw i64 %v146, %v18
  %v148 = mul nsw i64 %v8, 20
  %v149 = add nsw i64 %v147, %v148
  %v150 = mul nsw i64 %v144, 4
  %v151 = add nsw i64 %v149, %v150
  %v152 = getelementptr float, ptr %b0, i64 %v151
  %v153 = insertelement <16 x i64> poison, i64 %v18, i64 0
  %v154 = shufflevector <16 x i64> %v153, <16 x i64> poison, <16 x i32> zeroinitializer
  %v155 = add <16 x i64> %v154, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v156 = icmp slt <16 x i64> %v155, splat (i64 4)
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v145, ptr %v152, i32 4, <16 x i1> %v156)
  %v157 = add nsw i64 %v20, 2
  %v158 = load <16 x float>, ptr %m23
  %v159 = mul nsw i64 %v9, 120
  %v160 = add nsw i64 %v159, %v18
  %v161 = mul nsw i64 %v8, 20
  %v162 = add nsw i64 %v160, %v161
  %v163 = mul nsw i64 %v157, 4
  %v164 = add nsw i64 %v162, %v163
  %v165 = getelementptr float, ptr %b0, i64 %v164
  %v166 = insertelement <16 x i64> poison, i64 %v18, i64 0
  %v167 = shufflevector <16 x i64> %v166, <16 x i64> poison, <16 x i32> zeroinitializer
  %v168 = add <16 x i64> %v167, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v169 = icmp slt <16 x i64> %v168, splat (i64 4)
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v158, ptr %v165, i32 4, <16 x i1> %v169)
  %v170 = add nsw i64 %v20, 3
  %v171 = load <16 x float>, ptr %m24
  %v172 = mul nsw i64 %v9, 120
  %v173 = add nsw i64 %v172, %v18
  %v174 = mul nsw i64 %v8, 20
  %v175 = add nsw i64 %v173, %v174
  %v176 = mul nsw i64 %v170, 4
  %v177 = add nsw i64 %v175, %v176
  %v178 = getelementptr float, ptr %b0, i64 %v177
  %v179 = insertelement <16 x i64> poison, i64 %v18, i64 0
  %v180 = shufflevector <16 x i64> %v179, <16 x i64> poison, <16 x i32> zeroinitializer
  %v181 = add <16 x i64> %v180, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v182 = icmp slt <16 x i64> %v181, splat (i64 4)
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v171, ptr %v178, i32 4, <16 x i1> %v182)
  %v183 = add nsw i64 %v20, 4
  %v184 = load <16 x float>, ptr %m25
  %v185 = mul nsw i64 %v9, 120
  %v186 = add nsw i64 %v185, %v18
  %v187 = mul nsw i64 %v8, 20
  %v188 = add nsw i64 %v186, %v187
  %v189 = mul nsw i64 %v183, 4
  %v190 = add nsw i64 %v188, %v189
  %v191 = getelementptr float, ptr %b0, i64 %v190
  %v192 = insertelement <16 x i64> poison, i64 %v18, i64 0
  %v193 = shufflevector <16 x i64> %v192, <16 x i64> poison, <16 x i32> zeroinitializer
  %v194 = add <16 x i64> %v193, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v195 = icmp slt <16 x i64> %v194, splat (i64 4)
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v184, ptr %v191, i32 4, <16 x i1> %v195)
  br label %latch19
latch19:
  %next19 = add nsw i64 %i19, 1
  br label %head19
done19:
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

define internal void @k3_copy(ptr noalias %b0, ptr readonly %b1, i64 %worker, i64 %workers, i64 %size1) #0 {
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
  %more9 = icmp slt i64 %i9, 5
  br i1 %more9, label %body9, label %done9
body9:
  %v10 = mul nsw i64 %v7, 20
  %v11 = add nsw i64 %v8, %v10
  %v12 = mul nsw i64 %i9, 4
  %v13 = add nsw i64 %v11, %v12
  %v14 = getelementptr float, ptr %b1, i64 %v13
  %v15 = load float, ptr %v14, align 4
  %v16 = mul nsw i64 %v8, 30
  %v17 = mul nsw i64 %v7, 5
  %v18 = add nsw i64 %v16, %v17
  %v19 = add nsw i64 %v18, %i9
  %v20 = getelementptr float, ptr %b0, i64 %v19
  store float %v15, ptr %v20, align 4
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
