# The load generators of the suites `wire` and `e2e`: the public client, and nothing else of ours.
set(FW_PERF_SERVER ${CMAKE_CURRENT_LIST_DIR}/client_server.c
    ${PROJECT_SOURCE_DIR}/app/commands/free_ports.c)
add_executable(client_load ${CMAKE_CURRENT_LIST_DIR}/client_load.c
               ${FW_PERF_SERVER}
               ${PROJECT_SOURCE_DIR}/net/sp.c)
target_link_libraries(client_load PRIVATE fw_client fw_base)
add_executable(critical_load ${CMAKE_CURRENT_LIST_DIR}/critical_load.c
               ${FW_PERF_SERVER}
               ${PROJECT_SOURCE_DIR}/net/sp.c)
target_link_libraries(critical_load PRIVATE fw_client fw_base)
fw_task_module(bench SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench_module.c)
add_executable(overload_load ${CMAKE_CURRENT_LIST_DIR}/overload_load.c
               ${FW_PERF_SERVER} ${PROJECT_SOURCE_DIR}/net/sp.c)
target_link_libraries(overload_load PRIVATE fw_client fw_base)
