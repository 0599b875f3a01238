# Programs of the suites `e2e`, `memory` and `subworkers`, and peers that need a server, which
# perf/with_server.py starts. hiredis is optional: without it its program is left out.
add_executable(memory_load ${CMAKE_CURRENT_LIST_DIR}/memory_load.c
               ${FW_PERF_SERVER} ${PROJECT_SOURCE_DIR}/net/sp.c)
target_link_libraries(memory_load PRIVATE fw_client fw_base)

add_executable(peers_gearman ${CMAKE_CURRENT_LIST_DIR}/peers_gearman.c
               ${CMAKE_CURRENT_LIST_DIR}/peer_line.c)
target_link_libraries(peers_gearman PRIVATE fw_base)

add_executable(peers_beanstalkd ${CMAKE_CURRENT_LIST_DIR}/peers_beanstalkd.c
               ${CMAKE_CURRENT_LIST_DIR}/peer_line.c)
target_link_libraries(peers_beanstalkd PRIVATE fw_base)

add_executable(peers_resp ${CMAKE_CURRENT_LIST_DIR}/peers_resp.c
               ${CMAKE_CURRENT_LIST_DIR}/peer_line.c)
target_link_libraries(peers_resp PRIVATE fw_base)

add_executable(peers_nats ${CMAKE_CURRENT_LIST_DIR}/peers_nats.c
               ${CMAKE_CURRENT_LIST_DIR}/peer_line.c)
target_link_libraries(peers_nats PRIVATE fw_base)

pkg_check_modules(HIREDIS IMPORTED_TARGET hiredis)
if(HIREDIS_FOUND)
    add_executable(peers_redis ${CMAKE_CURRENT_LIST_DIR}/peers_redis.c)
    target_link_libraries(peers_redis PRIVATE fw_base PkgConfig::HIREDIS)
endif()
