"""The tags by which runs in MLflow are found: what restem writes, reads, and searches by. Users search by them too."""

KIND = "restem.kind"  # experiment, iteration or study
EXPERIMENT = "restem.experiment"
STUDY = "restem.study"
METHOD = "restem.method"
BASE = "restem.base"  # the base policy's model
VIEW = "restem.view"  # the command that shows every sample
ITERATION = "restem.iteration"  # 0 is the base policy
POLICY = "restem.policy"  # the fingerprint of what the iteration made
PARENT = "restem.parent"  # of the policy that it was sampled from
SUITES = "restem.suites"
MODEL = "restem.model"  # the id of the policy as a logged model
RECORD = "restem.record"  # of the record that was logged; written last
ATTEMPT = "restem.attempt"  # what decides over the iteration; a run that was cut short is gone on with by it
PROCESS = "restem.process"  # host, process and its start: who makes what the run shows, or did last
REPORT = "restem.report"  # the fingerprint of the report that was logged
STALE = "restem.stale"  # "true" if an earlier iteration was made anew since
SUPERSEDED = "restem.superseded"  # "true" if another run took its place
