// Memory ran out: the kernel killed, the runtime gave up, or an allocation was refused.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'out-of-memory',
  type: 'out_of_memory',
  severity: 'critical',
  patterns: [
    {
      match:
        /[Oo]ut of [Mm]emory: [Kk]ill(?:ed)? process (?<pid>\d{1,9})|Memory cgroup out of memory: Kill(?:ed)? process (?<pid2>\d{1,9})|oom-kill:constraint=\S{1,400}pid=(?<pid3>\d{1,9})|oom_reaper: reaped process (?<pid4>\d{1,9})|invoked oom-killer/,
      level: 'info',
      confidence: 0.975,
      because: 'the kernel names its victim',
    },
    {
      match:
        /JavaScript heap out of memory|Reached heap limit|Ineffective mark-compacts near heap limit|ERR_WORKER_OUT_OF_MEMORY/,
      level: 'info',
      confidence: 0.975,
      because: 'V8 at its heap limit',
    },
    {
      match:
        /killed by the OOM killer|Failed with result 'oom-kill'|OOMKilled|OOM killed|reason: OOM|OutOfMemory: Killed|exited with code 137 \(OOM|Memory limit of \S{1,20} exceeded|systemd-oomd killed/,
      level: 'info',
      confidence: 0.965,
      because: 'systemd and Kubernetes report the kill',
    },
    {
      match:
        /[Cc]annot allocate memory|\bENOMEM\b|unable to (?:allocate|fork) (?:memory|child|\S{1,40} bytes)|memory allocation (?:of \d+ bytes )?failed|failed to allocate (?:memory|\S{1,40} bytes)|std::bad_alloc|virtual memory exhausted|Allocation failed - process out of memory|Out of memory \(|\bmalloc\S{0,20} failed|[Cc]an't allocate memory|[Cc]ould not allocate (?:memory|\S{1,40} bytes)|insufficient memory|not enough memory|Cannot allocate \S{1,20} (?:bytes|of memory)/,
      confidence: 0.955,
      because: 'ENOMEM as C libraries and allocators word it',
    },
    {
      on: 'exception',
      match: /(?:^|[.\s])(?:MemoryError|OutOfMemory(?:Error|Exception)|NoMemoryError|_ArrayMemoryError)\b/,
      confidence: 0.965,
      because: 'Python, Java, C# and Ruby classes',
    },
    {
      match:
        /java\.lang\.OutOfMemoryError|GC overhead limit exceeded|Java heap space|Metaspace$|There is insufficient memory for the Java Runtime/,
      confidence: 0.965,
      because: 'Java',
    },
    {
      match:
        /CUDA(?: error:)? out of memory|CUDA_ERROR_OUT_OF_MEMORY|CUBLAS_STATUS_ALLOC_FAILED|hipErrorOutOfMemory|MPS backend out of memory|Allowed memory size of \d+ bytes exhausted|Unable to allocate \S{1,20} \wiB for an array|HIP out of memory|ggml_\w{1,40}: failed to allocate|failed to allocate \S{1,30} buffer|requires more system memory|unable to allocate CUDA/i,
      confidence: 0.965,
      because: 'GPU, PHP and array limits',
    },
    {
      match:
        /runtime: out of memory|fatal error: (?:runtime: )?(?:cannot allocate memory|out of memory)|Cannot allocate memory for the buffer pool|InnoDB: Cannot allocate|OOM (?:error|detected)|ran out of memory|out of memory\b/i,
      confidence: 0.94,
      because: 'Go, databases and usual wording',
    },
    {
      match:
        /[Mm]emory quota (?:vastly )?exceeded|\bError R1[45]\b|Runtime\.OutOfMemory|Out of memory: (?:worker|process) killed/,
      level: 'info',
      confidence: 0.97,
      because: 'Heroku and Lambda',
    },
    {
      match:
        /fork: (?:retry: )?(?:Resource temporarily unavailable|Cannot allocate memory)|can't start new thread|unable to create (?:new )?native thread|pthread_create failed|Resource temporarily unavailable\b[^\n]{0,40}(?:fork|thread)|(?:cgroup: )?fork rejected by pids controller/,
      level: 'info',
      confidence: 0.94,
      because: 'limits on tasks, which look like memory',
    },
    {
      match:
        /(?:reached|exceeded?s?|over) (?:the |its |our )?(?:--max-memory-restart|max_memory_restart|memory limit)|Process \S{1,80} restarted because it exceeds/i,
      confidence: 0.9,
      because: 'pm2 and other supervisors',
    },
    {
      match: /\bKilled process \d{1,10} \([^)\n]{1,60}\)/,
      level: 'info',
      confidence: 0.95,
      because: 'the kernel, where the first half of its line is missing',
    },
  ],
  never: [/OOM command not allowed|no out of memory|hard resource limits must not/i],
  matches: [
    { text: 'kernel: Out of memory: Killed process 4711 (node) total-vm:2000kB', facts: { pid: 4711 } },
    { text: 'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory' },
    { text: '2026-01-05 10:00:00,123 ERROR [agent] OSError: [Errno 12] Cannot allocate memory' },
    { text: 'Jan  5 10:00:00 vm systemd[1]: agent.service: A process of this unit has been killed by the OOM killer.' },
    { text: 'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB' },
    { text: 'bash: fork: retry: Resource temporarily unavailable' },
    { text: 'Exception in thread "main" java.lang.OutOfMemoryError: Java heap space' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] memory usage 80 %' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: my bot died with "Out of memory: Killed process 1 (node)"' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] test_memory_error passed' },
  ],
});
