# The suite `scale`: a great many tasks, timers, threads, clients. No peers.
add_executable(scale_bench ${CMAKE_CURRENT_LIST_DIR}/scale_bench.c)
target_link_libraries(scale_bench PRIVATE fw_engine fw_base)
add_executable(scale_load ${CMAKE_CURRENT_LIST_DIR}/scale_load.c
               ${FW_PERF_SERVER} ${PROJECT_SOURCE_DIR}/net/sp.c)
target_link_libraries(scale_load PRIVATE fw_client fw_base)
