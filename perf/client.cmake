# The load generator of the suites `net` and `e2e`: the public client, and nothing else of ours.
add_executable(client_load ${CMAKE_CURRENT_LIST_DIR}/client_load.c
               ${CMAKE_CURRENT_LIST_DIR}/client_server.c
               ${PROJECT_SOURCE_DIR}/net/sp.c)
target_link_libraries(client_load PRIVATE fw_client fw_base)
