# vitis_hls -f vitis_hls.tcl: simulates, synthesises and exports the design.
open_project -reset build
set_top $top
add_files model.cpp
add_files -tb testbench.cpp
add_files -tb data
open_solution -flow_target vitis solution
set_part $part
create_clock -period $clock
csim_design
csynth_design
export_design -format xo
exit
