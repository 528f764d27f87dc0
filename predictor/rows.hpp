#pragma once
#include <string>

#include "predictor/feedback.hpp"

/// What the columns of a stored execution are and in which order: the same for every store, each of which only knows how one value is read or
/// written. A reader has view(), integer(), real(), boolean() and features(), each for the next column; a writer the same with text(), returning
/// itself.
namespace pgsteer::predictor {

template <class Columns>
Feedback read_feedback(Columns& c) {
  const auto text = [&c] { return std::string(c.view()); };
  Feedback f;
  f.unix_microseconds = c.integer();
  f.database = text();
  f.user = text();
  f.application = text();
  f.fingerprint = text();
  f.shape = text();
  f.feature_schema = static_cast<std::uint64_t>(c.integer());
  f.features = c.features();
  f.candidate = text();
  f.candidates = labels_of(text());
  f.estimate_ms = c.real();
  f.estimate_low_ms = c.real();
  f.estimate_high_ms = c.real();
  f.estimate_source = text();
  f.model_version = text();
  f.source = text();
  f.mode = text();
  f.policy_rule = text();
  f.reason = text();
  f.probability = c.real();
  f.server_ms = c.real();
  f.total_ms = c.real();
  f.proxy_us = c.real();
  f.rows = c.integer();
  f.bytes = c.integer();
  f.sqlstate = text();
  f.censored = c.boolean();
  f.plan_cost = c.real();
  return f;
}

/// Of read_feedback()'s columns those in their order, and trace_id. `labels`: labels_text(f.candidates), for a writer that keeps views.
template <class Values>
void write_feedback(Values& values, const Feedback& f, const std::string& labels) {
  values.integer(f.unix_microseconds).text(f.database).text(f.user).text(f.application).text(f.fingerprint).text(f.shape)
      .integer(static_cast<std::int64_t>(f.feature_schema)).features(f.features).text(f.candidate).text(labels)
      .real(f.estimate_ms).real(f.estimate_low_ms).real(f.estimate_high_ms).text(f.estimate_source).text(f.model_version)
      .text(f.source).text(f.mode).text(f.policy_rule).text(f.reason).real(f.probability).real(f.server_ms).real(f.total_ms)
      .real(f.proxy_us).integer(f.rows).integer(f.bytes).text(f.sqlstate).boolean(f.censored).real(f.plan_cost).text(f.trace_id);
}

/// unix_us, database, user, application, fingerprint, candidate, source, policy_rule, reason, sqlstate, total_ms, server_ms, proxy_us, estimate_ms,
/// estimate_low_ms, estimate_high_ms, rows
template <class Columns>
Observation read_observation(Columns& c) {
  Observation o;
  o.unix_us = c.integer();
  o.database = c.view();
  o.user = c.view();
  o.application = c.view();
  o.fingerprint = c.view();
  o.candidate = c.view();
  o.source = c.view();
  o.policy_rule = c.view();
  o.reason = c.view();
  o.sqlstate = c.view();
  o.ms = c.real();
  const double server_ms = c.real();
  if (o.ms <= 0) o.ms = server_ms;
  o.proxy_us = c.real();
  o.estimate_ms = c.real();
  o.estimate_low_ms = c.real();
  o.estimate_high_ms = c.real();
  o.rows = c.integer();
  return o;
}

/// unix_us, fingerprint, source, sqlstate, estimate_source, model_version, censored, server_ms, estimate_ms, estimate_low_ms, estimate_high_ms, and
/// the features where they are of this schema. `features` holds them for the Outcome's view.
template <class Columns>
Outcome read_outcome(Columns& c, FeatureVector& features) {
  Outcome o;
  o.unix_us = c.integer();
  o.fingerprint = c.view();
  o.source = c.view();
  o.sqlstate = c.view();
  o.estimate_source = c.view();
  o.model_version = c.view();
  o.censored = c.boolean();
  o.server_ms = c.real();
  o.estimate_ms = c.real();
  o.estimate_low_ms = c.real();
  o.estimate_high_ms = c.real();
  features = c.features();
  if (features.size() == feature_names().size()) o.features = features;
  return o;
}

}  // namespace pgsteer::predictor
