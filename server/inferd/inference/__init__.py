"""From a request's tensors to a model's answer: the repository, the scheduler, the batcher.

`repository` says what is on disk and what should be loaded, `scheduling` says what runs
next. Both only decide; the modules beside this one act.
"""
