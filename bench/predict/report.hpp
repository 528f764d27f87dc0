#pragma once
#include <string>

/// Prints q-errors by class of a real feedback store: the newest 15 % of the rows of known templates and the held-out
/// templates, judged by a model trained on the rest, beside the baselines. 0 on success.
int report_store(const std::string& state_dir);

/// Prints the same for each objective on synthetic rows with heavy-tailed noise.
int report_objectives();
