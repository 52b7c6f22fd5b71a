// A peer cannot be reached or answers with an error.

import { defineRules } from './contract.ts';

const SERVER_STATUSES = [500, 501, 502, 503, 504, 505, 507, 508, 511, 520, 521, 522, 523, 524, 525, 526, 527];
/** An access log prints the status behind the request in quotes. */
const BEHIND_REQUEST = SERVER_STATUSES.map((code) => `" ${code} `);
const BEHIND_PROTOCOL = SERVER_STATUSES.flatMap((code) => [...'0123456789'].map((version) => `${version} ${code} `));
/** Development servers print it behind the path, and how long it took behind the status. */
const BEHIND_PATH = SERVER_STATUSES.flatMap((code) => [
  `completed ${code} `,
  ...['in', '-', ...'0123456789'].map((next) => ` ${code} ${next}`),
]);

export default defineRules({
  name: 'api-error',
  type: 'api_error',
  severity: 'high',
  // What a peer or the network does is waited out. Only what is wrong on this machine can be mended here.
  fixable: false,
  patterns: [
    {
      match:
        /\b(?:ECONNREFUSED|ECONNRESET|EHOSTUNREACH|ENETUNREACH|ENETDOWN|EHOSTDOWN|EAI_AGAIN|EAI_FAIL|ENOTFOUND|EPIPE|ECONNABORTED|EADDRNOTAVAIL|ERR_CONNECTION_\w+|ERR_NAME_NOT_RESOLVED|ERR_INTERNET_DISCONNECTED|ERR_NETWORK\b|ERR_TUNNEL_CONNECTION_FAILED|UND_ERR_SOCKET|EPROTO)\b(?: (?<host>[\w.-]{1,120}):(?<port>\d{1,5}))?/,
      confidence: 0.9,
      because: 'errno as Node and Chromium name it',
    },
    {
      match:
        /[Bb]roken pipe|[Ss]ocket hang ?up|[Ss]erver disconnected|[Rr]emote end closed connection|[Nn]etwork (?:error|request failed|is down)|other side closed|peer closed connection|premature(?:ly)? (?:close|closed)|actively refused it|[Cc]ould not establish connection|[Uu]nable to establish|EOF occurred in violation of protocol|unexpected EOF\b|Transport endpoint is not connected|forcibly closed by the remote host|WebSocket (?:connection )?(?:closed|error|failed|disconnected)[^\n]{0,40}(?:unexpectedly|error|100[2-9]|101\d|failed)/,
      confidence: 0.885,
      because: 'wording of HTTP libraries',
    },
    {
      match:
        /[Cc]onnection (?:was |has been |is )?(?:refused|reset(?: by peer)?|aborted|error\b|closed (?:unexpectedly|by (?:the )?(?:remote|peer|server))|lost|broken|dropped|failed|terminated unexpectedly|forcibly closed)/,
      words: [
        'refused',
        'reset',
        'aborted',
        'error',
        'connection closed',
        'ly closed',
        'was closed',
        'been closed',
        ' lost',
        'broken',
        'dropped',
        'failed',
        'terminated',
      ],
      confidence: 0.885,
      because: 'errno as C libraries word it',
    },
    {
      match:
        /[Tt]emporary failure (?:in name resolution|resolving)|[Nn]ame or service not known|nodename nor servname provided|[Nn]etwork is unreachable|[Nn]o route to host|[Hh]ost is (?:unreachable|down)|getaddrinfo (?:failed|ENOTFOUND|EAI_AGAIN)|[Cc]ould not resolve (?:host|proxy|name)|[Nn]ame resolution (?:error|failed|failure)|lookup \S{1,200}(?: on \S{1,60})?: no such host|UnknownHostException|Address family not supported|[Cc]annot assign requested address|NXDOMAIN|[Nn]o address associated with hostname|SERVFAIL|server misbehaving|device or resource busy$|[Nn]o such host is known|DNS (?:lookup|resolution) (?:failed|error)|Failed to resolve|unable to resolve host/,
      confidence: 0.925,
      because: 'resolver and routing',
    },
    {
      match:
        /(?:TypeError: )?(?:fetch failed|Failed to fetch|Network request failed|NetworkError when attempting|Load failed)\b/,
      confidence: 0.89,
      because: 'fetch of JavaScript runtimes wraps every network fault',
    },
    {
      on: 'exception',
      match:
        /(?:^|[.\s:\\])(?:API(?:Connection|Status|Response)?(?:Error|Exception)|InternalServerError|Connection(?:Refused|Reset|Aborted|Closed)?(?:Error|Exception)|ConnectError|ConnectException|BrokenPipeError|HTTPError|HTTPStatusError|HTTPException|HttpException|HttpError|RemoteDisconnected|RemoteProtocolError|ProtocolError|IncompleteRead|ChunkedEncodingError|ServiceUnavailable\w*|BadGateway\w*|GatewayError|Client(?:Connector|Response|OS|Payload)?(?:DNS|SSL|Certificate)?Error|ServerDisconnectedError|ServerError|NetworkError|TelegramNetworkError|\w*NetworkException|MaxRetryError|NewConnectionError|NameResolutionError|ProxyError|SSLError|SSLCertVerificationError|SSLHandshakeException|SSLException|CertificateError|URLError|gaierror|SocketException|UnknownHostException|NoRouteToHostException|HttpRequestException|WebException|RequestException|RequestError|FetchError|AxiosError|AbortError|NotFoundError|BadRequestError|BadRequest|ConflictError|UnprocessableEntityError|HttpClientErrorException|HttpServerErrorException|RestClientException|ResourceAccessException|WebClientResponseException|FeignException|WebSocketException|ConnectionClosed(?:Error|OK)?|GrpcError|RpcError|AioRpcError|StatusRuntimeException|Faraday::\w+|Net::HTTP\w+|OpenURI::HTTPError|RestClient::\w+|Errno::E(?:CONNREFUSED|CONNRESET|HOSTUNREACH|NETUNREACH|PIPE)|OpenSSL::SSL::SSLError|SocketError|GuzzleHttp\\\w+|GuzzleException|MailConnectException|MessagingException|SMTP\w*(?:Error|Exception|Disconnected)|ClientException|RequestException|EndpointConnectionError|BotoCoreError|ClientError|HttpResponseError|RpcException|FailoverError|FallbackSummaryError|LiteLLM\w*)\b/,
      confidence: 0.875,
      because: 'exception classes of clients',
    },
    {
      match:
        /(?:error[ _]?code|status(?:[ _]?code)?|http error|response(?:[ _]?code)?|returned|answered|[Ee]rror)["'\\]{0,3}(?:\s?[:=]\s?|\s|\(){1,2}["'\\]{0,2}(?<status>50[0-35-9]|52[0-8]|400|404|405|406|409|410|413|415|422|424|426|431)\b/i,
      confidence: 0.845,
      because: 'a client prints the status of the answer',
    },
    {
      match:
        /\[(?:Errno|WinError) (?:-[235]|54|61|100|101|103|104|111|112|113|10049|10051|10053|10054|10061|10065|11001)\]/,
      confidence: 0.89,
      because: 'numbers of errno, where the text is in the language of the machine',
    },
    {
      match:
        /\bHTTP(?:\/\d(?:\.\d)?)?[ :]{1,2}(?<status>50[0-35-9]|52[0-8]|400|404|405|406|409|410|413|415|422|424|426|431)\b/,
      words: ['http ', 'http: ', 'http:', 'http/1.1', 'http/1.0', 'http/2', 'http/3'].flatMap((word) => [
        `${word}4`,
        `${word} 4`,
        `${word}5`,
        `${word} 5`,
      ]),
      confidence: 0.845,
      because: 'a status line',
    },
    {
      match:
        /(?:\b|\()(?<status>50[0-35-9]|52[0-8]|4(?:00|04|05|06|09|10|13|15|22))["'\])]{0,2}[ :,-]{1,3}\(?(?:Internal Server Error|Bad Gateway|Service (?:Temporarily )?Unavailable|Server Error|UNAVAILABLE|INTERNAL|Bad Request|Not Found|Client Error|Conflict|Method Not Allowed|Unprocessable|INVALID_ARGUMENT|NOT_FOUND|Request Entity|Payload Too Large|No endpoints)/i,
      confidence: 0.89,
      because: 'status line',
    },
    {
      match: /"HTTP\/\d(?:\.\d)? (?<status>5\d\d) [A-Z]/,
      words: BEHIND_PROTOCOL,
      level: 'debug',
      confidence: 0.885,
      because: 'an HTTP client logs the answer to its own request',
    },
    {
      // What stands in quotes is not ours: an access log's request is empty here.
      match: /"[^"\n]{0,2000}" (?<status>5\d\d) (?:\d{1,12}|-)(?:[ \n<]|$)/,
      words: BEHIND_REQUEST,
      level: 'debug',
      confidence: 0.88,
      because: 'an access log: the service itself failed',
    },
    {
      match: /^(?:Completed (?<status>5\d\d) |(?:GET|POST|PUT|PATCH|DELETE) \/\S{0,500} (?<status2>5\d\d) (?:in|-|\d))/,
      words: BEHIND_PATH,
      level: 'debug',
      confidence: 0.86,
      because: 'development servers of frameworks',
    },
    {
      match:
        /certificate has expired|certificate verify failed|CERTIFICATE_VERIFY_FAILED|unable to get local issuer certificate|unable to verify the first certificate|self[- ]signed certificate|SELF_SIGNED_CERT|UNABLE_TO_(?:VERIFY|GET)\w+|CERT_HAS_EXPIRED|ERR_TLS_CERT|x509: |PKIX path|SSL certificate problem|certificate (?:is )?(?:not trusted|expired|not yet valid|revoked)|tlsv?1 alert|wrong version number|SSL_do_handshake|SSL_ERROR_\w+|TLS handshake (?:failed|error)|[Hh]andshake failed|sslv3 alert|no alternative certificate subject name|[Hh]ostname(?:\/IP)? (?:does not match|mismatch)|remote error: tls: |unsupported protocol$|ssl3_get_record|SSL routines|Timeout during connect \(likely firewall problem\)|DNS problem: |Challenge failed for domain|Some challenges have failed|urn:ietf:params:acme:error/,
      confidence: 0.935,
      because: 'TLS libraries and certificate clients',
    },
    {
      match:
        /\bServer \S{1,120} is DOWN\b|(?:backend|proxy) '?\S{1,80}'? has no server available|[Bb]roker may not be available|[Cc]onnection (?:\S{1,80} ){0,8}could not be established|[Bb]ootstrap broker \S{1,120} disconnected|[Nn]ot enough (?:live )?replicas|[Hh]ost \S{1,80} marked as unhealthy/,
      level: 'info',
      confidence: 0.9,
      because: 'HAProxy, Kafka clients and service meshes on a peer that is gone',
    },
    {
      match: /terminated by other getUpdates request|Conflict: can't use getUpdates/,
      confidence: 0.96,
      fixable: true,
      because: 'the Bot API allows one poller',
    },
    {
      match:
        /Bad Request: (?:can't parse entities|message is too long|message text is empty|chat not found|message (?:to \w+ )?not found|\w)|message is too long|can't parse entities|MESSAGE_TOO_LONG|query is too old/,
      confidence: 0.93,
      because: 'the Telegram Bot API refuses a message',
    },
    {
      match:
        /\bnot_found_error\b|\binvalid_request_error\b|model[`'"_: ]{1,3}\S{1,80} (?:was )?(?:not found|does not exist|is not (?:available|supported|a valid))|model_not_found|does not exist or you do not have access|prompt is too long|maximum context length|context[_ ]length[_ ]exceeded|context window|too many tokens|input is too long|No endpoints found|The model `[^`\n]{1,80}`|unsupported_model|deprecated_model|model has been (?:deprecated|retired|removed)|api_error\b|server_error\b|upstream_error|All models failed|no (?:healthy )?upstream|no live upstreams|content_filter|invalid_argument/i,
      confidence: 0.905,
      because: 'model providers refuse the request',
    },
    {
      match:
        /connect\(\) failed \((?:111|113|101|2)\b|upstream prematurely closed|recv\(\) failed \(104|no live upstreams|SSL_do_handshake\(\) failed|upstream sent (?:too big header|invalid header)|connect\(\) to unix:|AH0(?:1114|0957|0959|1084|1097|0898|2454)|HTTP: attempt to connect|proxy: error reading|[Pp]roxy (?:error|closed the connection|connection failed|server (?:refused|could not|cannot))|through proxy \S{1,120} - |[Cc]ould not connect (?:to|through)|[Cc]annot connect to (?:proxy|the Docker daemon|host|server)|[Ff]ailed to connect (?:to|with)|Couldn't connect to (?:host|server)|[Uu]nable to connect|[Cc]onnection attempt failed|tunnel (?:connection )?failed|dial (?:tcp|unix|udp) \S{1,200}: |connect: (?:connection refused|no route|network is unreachable|no such file)|curl: \(\d{1,2}\)|wget: unable to|[Ff]ailed to download\b|[Dd]ownload failed|[Ff]ailed to fetch\b|couldn't send to server|[Uu]nreachable\b|unexpected (?:response|status)[: ]|[Uu]pstream (?:error|unavailable|failed)|error (?:sending request|trying to connect)|hyper::Error|reqwest::Error|h2 protocol error|stream (?:error|was reset)|GOAWAY|rpc error: code = (?:Unavailable|Internal|Unknown|NotFound|Aborted|InvalidArgument)/,
      confidence: 0.885,
      because: 'nginx, Apache, proxies, Go, Rust, curl and usual wording',
    },
    {
      match:
        /(?:API|HTTP|[Ww]ebhook|[Uu]pstream|[Rr]emote|[Pp]rovider|LLM|[Ss]erver|REST|GraphQL|[Rr]equest) (?:call |request |response |server )?(?:failed|error\b|returned (?:an )?error|responded with (?:an )?error|rejected)|[Ff]ailed to (?:send|post|deliver|upload|publish|reach|contact|call|query) (?:\S{1,40} ){0,4}(?:request|message|webhook|server|api|API|endpoint|notification|upstream)|HTTP error\b|[Ii]nvalid (?:server )?response\b|[Bb]ad response|[Ss]ervice [Uu]navailable|[Bb]ad [Gg]ateway|[Ii]nternal [Ss]erver [Ee]rror|(?:send|sync|poll|upload|fetch|sending) failure\b|ERROR_CODE_|ws error|gateway (?:error|closed)|(?:[Dd]isconnected|[Cc]losed) (?:from \S{1,80} )?unexpectedly|npm (?:ERR!|error) (?:network|code E(?:NOTFOUND|CONNRESET|TIMEDOUT|AI_AGAIN|CONNREFUSED|5\d\d))/,
      confidence: 0.83,
      because: 'usual wording',
    },
    {
      match: /Discord(?:API|HTTP)?Error\[\d{3,6}\]/,
      confidence: 0.86,
      because: 'discord.js names the code of the API; from its documentation',
    },
    {
      match: /\bConnectionFailed\b|Failed to open TCP connection to (?<host>[\w.-]{1,120}):(?<port>\d{1,5})/,
      confidence: 0.9,
      because: 'Ruby clients',
    },
    {
      match:
        /\bkind: (?:ConnectionRefused|ConnectionReset|ConnectionAborted|NotConnected|BrokenPipe|HostUnreachable|NetworkUnreachable|AddrNotAvailable)\b/,
      confidence: 0.93,
      because: 'kinds of an I/O error as Rust prints them',
    },
    {
      match: /\b(?:Get|Post|Put|Patch|Delete|Head) "https?:\/\/(?<host>[\w.-]{1,120})[^"\n]{0,400}": \S/,
      confidence: 0.87,
      because: 'an error of the HTTP client of Go names method and address',
    },
    {
      match:
        /(?:[Ww]eb[Ss]ocket|WS|[Gg]ateway)[^\n]{0,60} closed with (?:code |status )?(?:4\d{3}|10(?:0[2-9]|1[0-5]))\b/,
      confidence: 0.88,
      because: 'close codes of WebSockets that say something went wrong',
    },
    {
      match: /\b(?<status>50[0-35-9]|52[0-8]|40[0459]|422) status code\b/,
      confidence: 0.88,
      because: 'SDKs of model providers on an answer without a body',
    },
  ],
  never: [
    /could not receive data from client|client closed (?:keepalive )?connection|recovered after|errors?=0\b/i,
    /\b(?:returned|answered) \d{3} (?:bytes|characters|entries|items|lines|matches|records|results|rows|tokens)\b/i,
  ],
  matches: [
    { text: 'Error: connect ECONNREFUSED 127.0.0.1:11434', facts: { host: '127.0.0.1', port: 11434 } },
    { text: '2026-01-05 10:00:00,123 ERROR [llm] anthropic.APIConnectionError: Connection error.' },
    { text: '2026-01-05 10:00:00,123 ERROR [http] 502 Bad Gateway', facts: { status: 502 } },
    {
      text: '2026-01-05 10:00:00,123 ERROR [bot] telegram.error.Conflict: Conflict: terminated by other getUpdates request; make sure that only one bot instance is running',
    },
    { text: '2026-01-05 10:00:00,123 ERROR [http] OSError: [Errno 101] Network is unreachable' },
    { text: 'Error: getaddrinfo EAI_AGAIN api.example.com' },
    { text: '2026-01-05 10:00:00,123 ERROR [http] TypeError: fetch failed' },
    { text: '2026-01-05 10:00:00,123 ERROR [llm] prompt is too long: 215000 tokens > 200000 maximum' },
    { text: 'curl: (60) SSL certificate problem: unable to get local issuer certificate' },
    {
      text: '192.0.2.7 - - [05/Jan/2026:10:00:00 +0000] "GET /a HTTP/1.1" 502 157 "-" "curl/8.5.0"',
      facts: { status: 502 },
    },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] tool browser returned 503 bytes' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] connection opened' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: ECONNREFUSED?' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] errors=0 status 200' },
    { text: '192.0.2.7 - - [05/Jan/2026:10:00:00 +0000] "GET /nothing HTTP/1.1" 404 153 "-" "Mozilla/5.0"' },
    { text: '192.0.2.7 - - [05/Jan/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 503 "-" "curl/8.5.0"' },
  ],
});
