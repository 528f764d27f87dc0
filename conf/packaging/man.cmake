# cmake -DPROGRAM=... -DOUTPUT=dir -DVERSION=... -P man.cmake: a manual page of each sub-command, from its --help.
function(page name arguments summary)
  execute_process(COMMAND ${PROGRAM} ${arguments} --help OUTPUT_VARIABLE help RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "man: '${name} --help' ended with ${failed}")
  endif()
  string(REPLACE "\\" "\\e" help "${help}")
  string(REPLACE "-" "\\-" help "${help}")
  string(REPLACE "\n." "\n\\&." help "${help}")  # a line that begins with one would be a request
  string(REPLACE "\n'" "\n\\&'" help "${help}")
  string(REPLACE "-" "\\-" dashed "${name}")
  string(TOUPPER "${name}" title)
  file(WRITE ${OUTPUT}/${name}.1
    ".TH ${title} 1 \"\" \"pgsteer ${VERSION}\" \"pgsteer\"\n.SH NAME\n${dashed} \\- ${summary}\n.SH DESCRIPTION\n.nf\n${help}.fi\n"
    ".SH FILES\n/etc/pgsteer/pgsteer.toml (annotated), /etc/pgsteer/policies/*.toml, /var/lib/pgsteer\n"
    ".SH EXIT STATUS\n0 done, 1 failed, 64 wrong usage, 78 wrong configuration.\n")
endfunction()

file(MAKE_DIRECTORY ${OUTPUT})
page(pgsteer "" "transparent SQL proxy for PostgreSQL")
page(pgsteer-run run "serve")
page(pgsteer-check check "what configuration and policies mean")
page(pgsteer-explore explore "try planner settings now, within a budget")
page(pgsteer-train train "train a model from the feedback store")
page(pgsteer-explain explain "what pgsteer would do with a statement")
page(pgsteer-ctl ctl "one console command")
page(pgsteer-report-workload "report;workload" "what ran in a time window, as one file")
page(pgsteer-report-model "report;model" "how right the model of the predictor is, as one page")
