# cmake -DSOURCE=... -DBINARY=... -DNPM=... -DNODE=... -P build.cmake: writes BINARY/out/assets.S, always. Without npm, or without its
# registry, it holds empty files, and the daemon says at / that it was built without the dashboard.
set(output ${BINARY}/out)
file(MAKE_DIRECTORY ${output})

function(give_up why)
  message("dashboard: not built: ${why}")
  set(text "  .section .rodata\n")
  foreach(name page script style)
    string(APPEND text "  .globl pgsteer_${name}_begin\n  .globl pgsteer_${name}_end\npgsteer_${name}_begin:\npgsteer_${name}_end:\n  .byte 0\n")
  endforeach()
  file(WRITE ${output}/assets.S "${text}  .section .note.GNU-stack,\"\",%progbits\n")
endfunction()

if(NOT NPM OR NOT NODE)
  give_up("no npm")
  return()
endif()

# npm ci once for each package-lock.json: its hash is the stamp.
file(SHA256 ${SOURCE}/package-lock.json wanted)
set(stamp ${BINARY}/installed)
set(have "")
if(EXISTS ${stamp})
  file(READ ${stamp} have)
endif()
if(NOT have STREQUAL wanted)
  file(COPY ${SOURCE}/package.json ${SOURCE}/package-lock.json DESTINATION ${BINARY})
  execute_process(COMMAND ${NPM} ci --ignore-scripts --no-audit --no-fund --no-progress --loglevel=error --fetch-retries=2
                          --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=3000 --fetch-timeout=30000
                  WORKING_DIRECTORY ${BINARY} RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said TIMEOUT 180)
  if(failed)
    string(REGEX REPLACE "\n.*" "" said "${said}")  # the first line names the fault
    give_up("npm ci: ${said}")
    return()
  endif()
  file(WRITE ${stamp} ${wanted})
endif()

execute_process(COMMAND ${NODE} ${SOURCE}/build.mjs ${BINARY}/node_modules ${output} RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "dashboard: esbuild failed")  # the page's own fault, to be seen
endif()
