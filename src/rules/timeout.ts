// Somebody waited too long for an answer.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'timeout',
  type: 'timeout',
  severity: 'medium',
  // Whoever waits for somebody else can only wait again. A service that itself no longer answers, or a lock left behind, can be mended.
  fixable: false,
  patterns: [
    {
      on: 'exception',
      match:
        /(?:^|[.\s:\\])(?:\w*Time[Oo]ut(?:Error|Exception|Expired)?|\w*TimedOut(?:Error|Exception)?|DeadlineExceeded\w*|TimeoutException|timeout|HeadersTimeoutError|BodyTimeoutError)(?:: |\)| \(|$)/,
      confidence: 0.935,
      because: 'exception classes of many libraries',
    },
    {
      match:
        /\b(?:ETIMEDOUT|ESOCKETTIMEDOUT|ERR_SOCKET_CONNECTION_TIMEOUT|UND_ERR_(?:CONNECT|HEADERS|BODY)_TIMEOUT|ETIME|ERR_NETWORK_IO_SUSPENDED|net::ERR_(?:CONNECTION_)?TIMED_OUT|WSAETIMEDOUT)\b|\[?(?:Errno|WinError) (?:110|10060|60)\b|\(110[:)]|(?:error|code):? 10060/,
      confidence: 0.945,
      because: 'errno as Node, Python, Windows and nginx name it',
    },
    {
      match:
        /(?:[Cc]onnect(?:ion|ing)?|[Rr]equest|[Rr]ead|[Ww]rite|[Oo]peration|[Uu]pstream|[Rr]esponse|[Cc]ommand|[Ss]ocket|[Hh]andshake|[Gg]ateway|[Qq]uery|[Nn]avigation|[Hh]eartbeat|[Ll]ock|[Jj]ob|[Tt]ask|[Tt]ool|[Cc]all|[Ff]etch|[Dd]ownload|[Ll]ogin|[Pp]robe|[Hh]ealth check|[Ss]ession|[Cc]allback|[Ss]tep|[Ss]cript|[Pp]rocess|[Tt]est|[Bb]uild|[Rr]un|[Aa]cquire|[Pp]ing|[Ll]ookup|[Rr]esolv\w+|[Ss]tream|[Aa]gent|[Ss]erver|[Cc]lient|[Dd]aemon|[Ww]orker|[Pp]age|RPC|API|DNS|TLS|SSL|LLM|HTTP)(?:(?: \S{1,60}){0,3} (?:has |have |was |is |were )?timed[ -]?out\b| (?:\S{1,30} )?time-?out(?:ed)?(?:[ .,;!)]|: |$))/,
      confidence: 0.89,
      because: 'usual wording',
    },
    {
      match:
        /\btimed[ -]out (?:after|waiting|while|during|when|in|on|from|to|trying|at|with|without|connecting|reading|resolving|fetching|loading|sending)\b|\btimeout (?:after|while|waiting|occurred|expired|during|exceeded|error|reached|connecting|reading|awaiting|of \d+ ?m?s(?:ec\w*)? exceeded|\(\d+)|\b(?:i\/o|connect|read|idle|handshake|request|inactivity|response|header|socket) timeout\b|\b(?:within|exceeded(?: the)?|hit(?: the)?|reached(?: the)?) (?:\S{1,20} )?(?:timeout|time limit|deadline)\b|: timed? ?out\.?$|timed out\.?(?: \(|$|;|,)|aborted due to timeout|did not (?:respond|answer|complete|finish|start|become ready|exit) (?:in time|within)|took too long|no response (?:from \S{1,120} )?(?:within|after|in) \d/i,
      confidence: 0.885,
      because: 'usual wording',
    },
    {
      match:
        /context deadline exceeded|DEADLINE_EXCEEDED|Client\.Timeout exceeded|net\/http: (?:request canceled|TLS handshake timeout|timeout)|\bi\/o timeout\b|lookup \S{1,200}: i\/o timeout/,
      confidence: 0.945,
      because: 'Go and gRPC',
    },
    {
      match:
        /(?:\b|\()(?<status>504)["'\])]{0,2}[ :,-]{1,3}\(?(?:Gateway Time-?out|Server Error|DEADLINE_EXCEEDED)|(?:\b|\()(?<status2>408)["'\])]{0,2}[ :,-]{1,3}\(?Request Time-?out|status(?: code)?[ :=]{1,3}(?<status3>504|408)\b|Error code: (?<status4>504|408)\b/i,
      confidence: 0.935,
      because: 'status lines of 504 and 408',
    },
    {
      match:
        /upstream timed out \(110|\[client [^\]\n]{1,60}\] Timeout waiting|upstream request timeout|script timed out before returning headers|AH01075: Error dispatching request|proxy_fcgi:error[^\n]{0,80}timeout|AH01102: error reading status line|AH01114/,
      confidence: 0.94,
      because: 'nginx, envoy and Apache',
    },
    {
      match:
        /Maximum execution time of \d+ seconds? exceeded|Lock wait timeout exceeded|execution expired|Rack::Timeout|WORKER TIMEOUT|Worker timeout|Task timed out after \d|Script timed out|Run time of job "[^"\n]{1,120}" was missed by|Killing process \d+ \S{1,80} with signal SIGKILL: timeout|State 'stop-sigterm' timed out|(?:start|stop) operation timed out|Job \S{1,120} timed out|Timed out waiting for device|event loop (?:is )?(?:blocked|stalled)|blocked for more than \d+ seconds/,
      level: 'info',
      confidence: 0.92,
      fixable: true,
      because: 'PHP, Ruby, gunicorn, Lambda, schedulers, systemd and the kernel',
    },
    {
      match:
        /\b(?:operation|request|query|connection|read|write|socket)[_ ]?(?:timed_out|timeout_error)\b|"?(?:code|type|reason)"?[:=] ?"?(?:timeout|timed_out|request_timeout)\b/i,
      confidence: 0.89,
      because: 'error codes of APIs and tools',
    },
    {
      match:
        /code=H(?:12|15|20|28)\b|desc="(?:Request timeout|Idle connection|App boot timeout)"|Error R10 \(Boot timeout\)|\tStatus: timeout\b/,
      level: 'info',
      confidence: 0.95,
      because: 'Heroku and Lambda',
    },
    {
      match: /session file locked \(timeout/i,
      confidence: 0.89,
      fixable: true,
      because: 'an agent waits for a lock of its own that nobody may hold any more',
    },
    {
      match:
        /Read timed out|Connect timed out|connect timed out|Connection timed out|connection timed out|The read operation timed out|handshake operation timed out|Request timed out|Timed out$|SocketTimeoutException|(?:^|[:(.] ?)(?:TimeoutError|ReadTimeout|ConnectTimeout|TimeoutExpired)(?::|\)|$)/,
      confidence: 0.925,
      because: 'texts of socket libraries',
    },
    {
      match:
        /canceling statement due to (?:statement|lock|idle-in-transaction|user) ?timeout|terminating connection due to (?:idle|statement)\S{0,40} timeout/,
      confidence: 0.985,
      because: 'Postgres ends what takes too long',
    },
    {
      match: /due to the configured HttpClient\.Timeout|\bkind: (?:TimedOut|Timeout)\b|\(os error 110\)/,
      confidence: 0.95,
      because: 'C# and Rust',
    },
    {
      match:
        /[Ee]xceeded (?:the |its )?(?:maximum|max|allowed|configured) (?:execution|run|running|processing|wall)[ -]?time|\b\d{1,9} ?ms exceeded\b/,
      confidence: 0.9,
      because: 'schedulers and browser drivers',
    },
  ],
  never: [
    /will be timed out|(?:idle|keep-?alive) (?:connection|client|session)s? (?:was |has )?timed out|0 timeouts|timeouts?[=:] ?0\b|(?:^|[\s,(])0 timed[ -]out\b/i,
    /negotiated timeout|Lock wait timeout exceeded; try restarting transaction|session timed out due to inactivity/i,
  ],
  matches: [
    { text: '2026-01-05 10:00:00,123 ERROR [llm] openai.APITimeoutError: Request timed out.' },
    { text: 'Error: connect ETIMEDOUT 203.0.113.7:443', facts: { host: '203.0.113.7', port: 443 } },
    { text: '2026-01-05 10:00:00,123 ERROR [rpc] context deadline exceeded' },
    { text: '2026-01-05 10:00:00,123 WARNING [tool] Tool shell timed out after 90 s, giving up' },
    {
      text: '2026/01/05 10:00:00 [error] 9#9: *5 upstream timed out (110: Connection timed out) while reading response header',
    },
    { text: '[2026-01-05 10:00:00 +0000] [8] [CRITICAL] WORKER TIMEOUT (pid:12)' },
    { text: '2026-01-05 10:00:00,123 ERROR [agent] session file locked (timeout 10000ms): pid=4711 a.jsonl.lock' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] timeout=30' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: "it timed out"' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] timeouts: 0' },
    { text: '2026-01-05 10:00:00,123 INFO pool: 5 busy, 4 idle, 0 timed out, 0 failed' },
    { text: '2026-01-05 10:00:00,123 DEBUG [agent] session idle, will be timed out in 60 s as configured' },
  ],
});
