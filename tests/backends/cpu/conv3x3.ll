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
  %m22 = alloca <16 x float>, align 64
  %m23 = alloca <16 x float>, align 64
  %m24 = alloca <16 x float>, align 64
  %m25 = alloca <16 x float>, align 64
  %m26 = alloca <16 x float>, align 64
  %m27 = alloca <16 x float>, align 64
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
  %v7 = udiv i64 %i6, 1
  %v8 = urem i64 %i6, 1
  %v9 = urem i64 %v7, 5
  %v10 = udiv i64 %v7, 5
  %v11 = mul nsw i64 %v10, 168
  %v12 = add nsw i64 -24, %v11
  %v13 = mul nsw i64 %v9, 3
  %v14 = add nsw i64 %v12, %v13
  %v15 = mul nsw i64 %v14, 4
  %v16 = getelementptr i8, ptr %b1, i64 %v15
  %v17 = mul nsw i64 %v8, 1728
  %v18 = getelementptr i8, ptr %b2, i64 %v17
  %v19 = mul nsw i64 %v8, 16
  br label %head20
head20:
  %i20 = phi i64 [ 0, %body6 ], [ %next20, %latch20 ]
  %more20 = icmp slt i64 %i20, 1
  br i1 %more20, label %body20, label %done20
body20:
  %v21 = mul nsw i64 %i20, 6
  store <16 x float> zeroinitializer, ptr %m22
  store <16 x float> zeroinitializer, ptr %m23
  store <16 x float> zeroinitializer, ptr %m24
  store <16 x float> zeroinitializer, ptr %m25
  store <16 x float> zeroinitializer, ptr %m26
  store <16 x float> zeroinitializer, ptr %m27
  %v28 = mul nsw i64 %v21, 84
  %v29 = getelementptr i8, ptr %v16, i64 %v28
  br label %head30
head30:
  %i30 = phi i64 [ 0, %body20 ], [ %next30, %latch30 ]
  %more30 = icmp slt i64 %i30, 3
  br i1 %more30, label %body30, label %done30
body30:
  %v31 = mul nsw i64 %i30, 84
  %v32 = getelementptr i8, ptr %v29, i64 %v31
  %v33 = mul nsw i64 %i30, 576
  %v34 = getelementptr i8, ptr %v18, i64 %v33
  br label %head35
head35:
  %i35 = phi i64 [ 0, %body30 ], [ %next35, %latch35 ]
  %more35 = icmp slt i64 %i35, 9
  br i1 %more35, label %body35, label %done35
body35:
  %v36 = mul nsw i64 %i35, 4
  %v37 = getelementptr i8, ptr %v32, i64 %v36
  %v38 = mul nsw i64 %i35, 64
  %v39 = getelementptr i8, ptr %v34, i64 %v38
  %v40 = load <16 x float>, ptr %v39, align 64
  %v41 = load float, ptr %v37, align 4
  %v42 = insertelement <16 x float> poison, float %v41, i64 0
  %v43 = shufflevector <16 x float> %v42, <16 x float> poison, <16 x i32> zeroinitializer
  %v44 = load <16 x float>, ptr %m22
  %v45 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v43, <16 x float> %v40, <16 x float> %v44)
  store <16 x float> %v45, ptr %m22
  %v46 = getelementptr i8, ptr %v37, i64 84
  %v47 = load float, ptr %v46, align 4
  %v48 = insertelement <16 x float> poison, float %v47, i64 0
  %v49 = shufflevector <16 x float> %v48, <16 x float> poison, <16 x i32> zeroinitializer
  %v50 = load <16 x float>, ptr %m23
  %v51 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v49, <16 x float> %v40, <16 x float> %v50)
  store <16 x float> %v51, ptr %m23
  %v52 = getelementptr i8, ptr %v37, i64 168
  %v53 = load float, ptr %v52, align 4
  %v54 = insertelement <16 x float> poison, float %v53, i64 0
  %v55 = shufflevector <16 x float> %v54, <16 x float> poison, <16 x i32> zeroinitializer
  %v56 = load <16 x float>, ptr %m24
  %v57 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v55, <16 x float> %v40, <16 x float> %v56)
  store <16 x float> %v57, ptr %m24
  %v58 = getelementptr i8, ptr %v37, i64 252
  %v59 = load float, ptr %v58, align 4
  %v60 = insertelement <16 x float> poison, float %v59, i64 0
  %v61 = shufflevector <16 x float> %v60, <16 x float> poison, <16 x i32> zeroinitializer
  %v62 = load <16 x float>, ptr %m25
  %v63 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v61, <16 x float> %v40, <16 x float> %v62)
  store <16 x float> %v63, ptr %m25
  %v64 = getelementptr i8, ptr %v37, i64 336
  %v65 = load float, ptr %v64, align 4
  %v66 = insertelement <16 x float> poison, float %v65, i64 0
  %v67 = shufflevector <16 x float> %v66, <16 x float> poison, <16 x i32> zeroinitializer
  %v68 = load <16 x float>, ptr %m26
  %v69 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v67, <16 x float> %v40, <16 x float> %v68)
  store <16 x float> %v69, ptr %m26
  %v70 = getelementptr i8, ptr %v37, i64 420
  %v71 = load float, ptr %v70, align 4
  %v72 = insertelement <16 x float> poison, float %v71, i64 0
  %v73 = shufflevector <16 x float> %v72, <16 x float> poison, <16 x i32> zeroinitializer
  %v74 = load <16 x float>, ptr %m27
  %v75 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v73, <16 x float> %v40, <16 x float> %v74)
  store <16 x float> %v75, ptr %m27
  %v76 = getelementptr i8, ptr %v39, i64 64
  %v77 = load <16 x float>, ptr %v76, align 64
  %v78 = getelementptr i8, ptr %v37, i64 4
  %v79 = load float, ptr %v78, align 4
  %v80 = insertelement <16 x float> poison, float %v79, i64 0
  %v81 = shufflevector <16 x float> %v80, <16 x float> poison, <16 x i32> zeroinitializer
  %v82 = load <16 x float>, ptr %m22
  %v83 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v81, <16 x float> %v77, <16 x float> %v82)
  store <16 x float> %v83, ptr %m22
  %v84 = getelementptr i8, ptr %v37, i64 88
  %v85 = load float, ptr %v84, align 4
  %v86 = insertelement <16 x float> poison, float %v85, i64 0
  %v87 = shufflevector <16 x float> %v86, <16 x float> poison, <16 x i32> zeroinitializer
  %v88 = load <16 x float>, ptr %m23
  %v89 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v87, <16 x float> %v77, <16 x float> %v88)
  store <16 x float> %v89, ptr %m23
  %v90 = getelementptr i8, ptr %v37, i64 172
  %v91 = load float, ptr %v90, align 4
  %v92 = insertelement <16 x float> poison, float %v91, i64 0
  %v93 = shufflevector <16 x float> %v92, <16 x float> poison, <16 x i32> zeroinitializer
  %v94 = load <16 x float>, ptr %m24
  %v95 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v93, <16 x float> %v77, <16 x float> %v94)
  store <16 x float> %v95, ptr %m24
  %v96 = getelementptr i8, ptr %v37, i64 256
  %v97 = load float, ptr %v96, align 4
  %v98 = insertelement <16 x float> poison, float %v97, i64 0
  %v99 = shufflevector <16 x float> %v98, <16 x float> poison, <16 x i32> zeroinitializer
  %v100 = load <16 x float>, ptr %m25
  %v101 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v99, <16 x float> %v77, <16 x float> %v100)
  store <16 x float> %v101, ptr %m25
  %v102 = getelementptr i8, ptr %v37, i64 340
  %v103 = load float, ptr %v102, align 4
  %v104 = insertelement <16 x float> poison, float %v103, i64 0
  %v105 = shufflevector <16 x float> %v104, <16 x float> poison, <16 x i32> zeroinitializer
  %v106 = load <16 x float>, ptr %m26
  %v107 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v105, <16 x float> %v77, <16 x float> %v106)
  store <16 x float> %v107, ptr %m26
  %v108 = getelementptr i8, ptr %v37, i64 424
  %v109 = load float, ptr %v108, align 4
  %v110 = insertelement <16 x float> poison, float %v109, i64 0
  %v111 = shufflevector <16 x float> %v110, <16 x float> poison, <16 x i32> zeroinitializer
  %v112 = load <16 x float>, ptr %m27
  %v113 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v111, <16 x float> %v77, <16 x float> %v112)
  store <16 x float> %v113, ptr %m27
  %v114 = getelementptr i8, ptr %v39, i64 128
  %v115 = load <16 x float>, ptr %v114, align 64
  %v116 = getelementptr i8, ptr %v37, i64 8
  %v117 = load float, ptr %v116, align 4
  %v118 = insertelement <16 x float> poison, float %v117, i64 0
  %v119 = shufflevector <16 x float> %v118, <16 x float> poison, <16 x i32> zeroinitializer
  %v120 = load <16 x float>, ptr %m22
  %v121 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v119, <16 x float> %v115, <16 x float> %v120)
  store <16 x float> %v121, ptr %m22
  %v122 = getelementptr i8, ptr %v37, i64 92
  %v123 = load float, ptr %v122, align 4
  %v124 = insertelement <16 x float> poison, float %v123, i64 0
  %v125 = shufflevector <16 x float> %v124, <16 x float> poison, <16 x i32> zeroinitializer
  %v126 = load <16 x float>, ptr %m23
  %v127 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v125, <16 x float> %v115, <16 x float> %v126)
  store <16 x float> %v127, ptr %m23
  %v128 = getelementptr i8, ptr %v37, i64 176
  %v129 = load float, ptr %v128, align 4
  %v130 = insertelement <16 x float> poison, float %v129, i64 0
  %v131 = shufflevector <16 x float> %v130, <16 x float> poison, <16 x i32> zeroinitializer
  %v132 = load <16 x float>, ptr %m24
  %v133 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v131, <16 x float> %v115, <16 x float> %v132)
  store <16 x float> %v133, ptr %m24
  %v134 = getelementptr i8, ptr %v37, i64 260
  %v135 = load float, ptr %v134, align 4
  %v136 = insertelement <16 x float> poison, float %v135, i64 0
  %v137 = shufflevector <16 x float> %v136, <16 x float> poison, <16 x i32> zeroinitializer
  %v138 = load <16 x float>, ptr %m25
  %v139 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v137, <16 x float> %v115, <16 x float> %v138)
  store <16 x float> %v139, ptr %m25
  %v140 = getelementptr i8, ptr %v37, i64 344
  %v141 = load float, ptr %v140, align 4
  %v142 = insertelement <16 x float> poison, float %v141, i64 0
  %v143 = shufflevector <16 x float> %v142, <16 x float> poison, <16 x i32> zeroinitializer
  %v144 = load <16 x float>, ptr %m26
  %v145 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v143, <16 x float> %v115, <16 x float> %v144)
  store <16 x float> %v145, ptr %m26
  %v146 = getelementptr i8, ptr %v37, i64 428
  %v147 = load float, ptr %v146, align 4
  %v148 = insertelement <16 x float> poison, float %v147, i64 0
  %v149 = shufflevector <16 x float> %v148, <16 x float> poison, <16 x i32> zeroinitializer
  %v150 = load <16 x float>, ptr %m27
  %v151 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v149, <16 x float> %v115, <16 x float> %v150)
  store <16 x float> %v151, ptr %m27
  br label %latch35
latch35:
  %next35 = add nsw i64 %i35, 3
  br label %head35
done35:
  br label %latch30
latch30:
  %next30 = add nsw i64 %i30, 1
  br label %head30
done30:
  %v152 = load <16 x float>, ptr %m22
  %v153 = mul nsw i64 %v10, 120
  %v154 = add nsw i64 %v153, %v19
  %v155 = mul nsw i64 %v21, 20
  %v156 = add nsw i64 %v154, %v155
  %v157 = mul nsw i64 %v9, 4
  %v158 = add nsw i64 %v156, %v157
  %v159 = getelementptr float, ptr %b0, i64 %v158
  %v160 = insertelement <16 x i64> poison, i64 %v19, i64 0
  %v161 = shufflevector <16 x i64> %v160, <16 x i64> poison, <16 x i32> zeroinitializer
  %v162 = add <16 x i64> %v161, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v163 = icmp slt <16 x i64> %v162, splat (i64 4)
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v152, ptr %v159, i32 4, <16 x i1> %v163)
  %v164 = add nsw i64 %v21, 1
  %v165 = load <16 x float>, ptr %m23
  %v166 = mul nsw i64 %v10, 120
  %v167 = add nsw i64 %v166, %v19
  %v168 = mul nsw i64 %v164, 20
  %v169 = add nsw i64 %v167, %v168
  %v170 = mul nsw i64 %v9, 4
  %v171 = add nsw i64 %v169, %v170
  %v172 = getelementptr float, ptr %b0, i64 %v171
  %v173 = insertelement <16 x i64> poison, i64 %v19, i64 0
  %v174 = shufflevector <16 x i64> %v173, <16 x i64> poison, <16 x i32> zeroinitializer
  %v175 = add <16 x i64> %v174, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v176 = icmp slt <16 x i64> %v175, splat (i64 4)
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v165, ptr %v172, i32 4, <16 x i1> %v176)
  %v177 = add nsw i64 %v21, 2
  %v178 = load <16 x float>, ptr %m24
  %v179 = mul nsw i64 %v10, 120
  %v180 = add nsw i64 %v179, %v19
  %v181 = mul nsw i64 %v177, 20
  %v182 = add nsw i64 %v180, %v181
  %v183 = mul nsw i64 %v9, 4
  %v184 = add nsw i64 %v182, %v183
  %v185 = getelementptr float, ptr %b0, i64 %v184
  %v186 = insertelement <16 x i64> poison, i64 %v19, i64 0
  %v187 = shufflevector <16 x i64> %v186, <16 x i64> poison, <16 x i32> zeroinitializer
  %v188 = add <16 x i64> %v187, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v189 = icmp slt <16 x i64> %v188, splat (i64 4)
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v178, ptr %v185, i32 4, <16 x i1> %v189)
  %v190 = add nsw i64 %v21, 3
  %v191 = load <16 x float>, ptr %m25
  %v192 = mul nsw i64 %v10, 120
  %v193 = add nsw i64 %v192, %v19
  %v194 = mul nsw i64 %v190, 20
  %v195 = add nsw i64 %v193, %v194
  %v196 = mul nsw i64 %v9, 4
  %v197 = add nsw i64 %v195, %v196
  %v198 = getelementptr float, ptr %b0, i64 %v197
  %v199 = insertelement <16 x i64> poison, i64 %v19, i64 0
  %v200 = shufflevector <16 x i64> %v199, <16 x i64> poison, <16 x i32> zeroinitializer
  %v201 = add <16 x i64> %v200, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v202 = icmp slt <16 x i64> %v201, splat (i64 4)
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v191, ptr %v198, i32 4, <16 x i1> %v202)
  %v203 = add nsw i64 %v21, 4
  %v204 = load <16 x float>, ptr %m26
  %v205 = mul nsw i64 %v10, 120
  %v206 = add nsw i64 %v205, %v19
  %v207 = mul nsw i64 %v203, 20
  %v208 = add nsw i64 %v206, %v207
  %v209 = mul nsw i64 %v9, 4
  %v210 = add nsw i64 %v208, %v209
  %v211 = getelementptr float, ptr %b0, i64 %v210
  %v212 = insertelement <16 x i64> poison, i64 %v19, i64 0
  %v213 = shufflevector <16 x i64> %v212, <16 x i64> poison, <16 x i32> zeroinitializer
  %v214 = add <16 x i64> %v213, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v215 = icmp slt <16 x i64> %v214, splat (i64 4)
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v204, ptr %v211, i32 4, <16 x i1> %v215)
  %v216 = add nsw i64 %v21, 5
  %v217 = load <16 x float>, ptr %m27
  %v218 = mul nsw i64 %v10, 120
  %v219 = add nsw i64 %v218, %v19
  %v220 = mul nsw i64 %v216, 20
  %v221 = add nsw i64 %v219, %v220
  %v222 = mul nsw i64 %v9, 4
  %v223 = add nsw i64 %v221, %v222
  %v224 = getelementptr float, ptr %b0, i64 %v223
  %v225 = insertelement <16 x i64> poison, i64 %v19, i64 0
  %v226 = shufflevector <16 x i64> %v225, <16 x i64> poison, <16 x i32> zeroinitializer
  %v227 = add <16 x i64> %v226, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v228 = icmp slt <16 x i64> %v227, splat (i64 4)
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v217, ptr %v224, i32 4, <16 x i1> %v228)
  br label %latch20
latch20:
  %next20 = add nsw i64 %i20, 1
  br label %head20
done20:
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
