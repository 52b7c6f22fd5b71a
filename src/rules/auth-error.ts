// A key, token, password or certificate of ours is refused, or somebody else's is.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'auth-error',
  type: 'auth_error',
  severity: 'high',
  fixable: false,
  patterns: [
    {
      on: 'exception',
      match:
        /(?:Authentication(?:Error|Failed|Exception|CredentialsNotFoundException|FailedException)|Unauthori[sz]ed(?:Error|Exception|AccessError)?|InvalidToken(?:Error|Exception)?|InvalidCredentials\w*|BadCredentials\w*|LoginFailure|LoginError|NotAuthenticated|AuthenticationRequired|AuthError|AuthException|RefreshError|DefaultCredentialsError|NoCredentialsError|PartialCredentialsError|TokenExpired(?:Error|Exception)?|ExpiredToken\w*|ExpiredSignatureError|ExpiredJwtException|SignatureException|JsonWebTokenError|JWTError|JWTDecodeError|InvalidSignatureError|SMTPAuthenticationError|AuthKeyUnregisteredError|AuthKeyUnregistered|SessionPasswordNeeded\w*|InsecureTransportError)\b/,
      confidence: 0.95,
      because: 'exception classes of SDKs, frameworks and token libraries',
    },
    {
      match:
        /invalid[ _]x-api-key|invalid_api_key|(?:[Ii]ncorrect|[Ii]nvalid|[Ww]rong|[Mm]issing|[Bb]ad|[Uu]nknown|[Ee]xpired|[Rr]evoked) API[ _-]?[Kk]ey|API[ _-]?[Kk]ey (?:is )?(?:not valid|not found|invalid|expired|missing|required|revoked|disabled)|API_KEY_INVALID|authentication_error|No auth credentials found|did(?:n't| not) provide an API key|must provide an API key|No API key (?:provided|found|set)|api[_ ]key client option must be set/i,
      confidence: 0.965,
      because: 'error texts of model providers',
    },
    {
      match:
        /(?:error[ _]?code|status(?:[ _]?code)?|http(?:\/\d(?:\.\d)?)?|response(?:[ _]?code)?|returned|answered|got|code|error)["'\\]{0,3}(?:\s?[:=]\s?|\s|\(){1,2}["'\\]{0,2}(?<status>401)\b/i,
      words: ['\\b401\\b'],
      confidence: 0.92,
      because: 'a client prints status 401',
    },
    {
      match:
        /(?:\b|\()(?<status>401)["'\])]{0,2}[ :,-]{1,3}\(?(?:Unauthori[sz]ed|Client Error|UNAUTHENTICATED|invalid|Authorization)/i,
      confidence: 0.93,
      because: 'status line of 401',
    },
    {
      match: /"HTTP\/\d(?:\.\d)? (?<status>401) Unauthorized"/,
      level: 'info',
      confidence: 0.9,
      because: 'an HTTP client logs the answer to its own request',
    },
    {
      match:
        /Error from server \(Unauthorized\)|You must be logged in to the server|Improper token has been passed|An invalid token was provided/,
      confidence: 0.95,
      because: 'Kubernetes and Discord',
    },
    { match: /\bUNAUTHENTICATED\b/, confidence: 0.93, because: 'gRPC status' },
    {
      match:
        /password authentication failed for user|Access denied for user|no password supplied|Login failed for user|(?:pg_hba\.conf rejects|no pg_hba\.conf entry for)|WRONGPASS|NOAUTH Authentication required|Authentication failed\.?(?:$|, | for| on|:)|SCRAM authentication failed|ORA-01017|not authorized on \w+ to execute|Authentication unsuccessful|authentication (?:plugin )?failed|auth(?:entication)? fail(?:ed|ure)/i,
      confidence: 0.95,
      because: 'databases, mail servers and PAM',
    },
    {
      match:
        /Unable to locate credentials|ExpiredToken|InvalidClientTokenId|UnrecognizedClientException|SignatureDoesNotMatch|AuthFailure|InvalidAccessKeyId|security token included in the request is (?:invalid|expired)|Could not load credentials|could not find default credentials|NoCredentialProviders|Your default credentials were not found|AADSTS\d{4,9}/,
      confidence: 0.945,
      because: 'clouds',
    },
    {
      match:
        /\b(?:invalid_grant|invalid_client|unauthorized_client|invalid_token|token_expired|invalid_auth|not_authed|token_revoked|account_inactive|bad[_ ]credentials|unauthorized_access)\b|OAuth[^\n]{0,60}(?:failed|invalid|expired|refused|rejected|denied)/i,
      confidence: 0.94,
      because: 'OAuth, Slack and GitHub',
    },
    {
      match:
        /\b(?:access |refresh |auth |bot |session |bearer |id )?(?:token|jwt|credentials?|signature|api key) (?:has |is |was |are |have )?(?:been )?(?:expired|revoked|invalid|rejected|malformed|not (?:yet )?valid|no longer valid)\b|\b(?:invalid|expired|revoked|bad|malformed) (?:\w+ )?(?:token|jwt|credentials|signature|username or password|user(?:name)? or password|login)\b|\bjwt (?:expired|malformed)\b|\binvalid signature\b/i,
      confidence: 0.88,
      because: 'usual wording',
    },
    {
      match:
        /Failed password for |Invalid user \S{0,40} from |Too many authentication failures|\b(?:\d{1,3} more )?authentication failures?;|Failed publickey for |Failed none for |maximum authentication attempts exceeded|Failed keyboard-interactive|check pass; user unknown|input_userauth_request: invalid user|Connection closed by (?:authenticating|invalid) user|Disconnected from authenticating user|Couldn't authenticate user|user unknown to the underlying authentication module|Authentication failed from \S{1,80} \(|(?:No more user authentication methods available\.?|Auth fail|Write failed: [^\n]{1,80}) \[preauth\]/,
      level: 'debug',
      confidence: 0.955,
      severity: 'low',
      because: 'sshd, klogind, login and PAM: somebody failed to log in here',
    },
    {
      match:
        /Client sent AUTH, but no password is set|(?:login|log-?in|sign-?in|logon) (?:attempt )?(?:has )?(?:failed|failure|denied|refused|incorrect)\b|Failed to (?:log ?in|authenticate|sign in)|authentication (?:is )?required|(?:was|is) not authenticated|No (?:access |auth(?:orization)? )?token (?:was )?provided|(?:token|authorization header) (?:is )?missing/i,
      confidence: 0.87,
      because: 'usual wording',
    },
    {
      match:
        /\bNo (?:available )?(?:auth|credential|authentication)[ \w-]{0,20}(?:profile|credential|token|key)s? (?:found |available |configured )?(?:for|found|available)/i,
      confidence: 0.9,
      because: 'wording of agents that keep several keys',
    },
    {
      match:
        /npm (?:ERR!|error) code E(?:NEEDAUTH|401|OTP)|denied: requested access to the resource is denied|unauthorized: (?:authentication required|incorrect username)|(?:no basic auth credentials|pull access denied)/,
      confidence: 0.95,
      because: 'npm and docker registries',
    },
    {
      match: /\bUnauthorized\b(?::|\.|$| access| request)|\bunauthori[sz]ed\b(?: error|:)/,
      confidence: 0.85,
      because: 'reason phrase of status 401',
    },
    {
      match: /RequestTimeTooSkewed|Signature expired|token is not yet valid|Token used too early|clock skew too great/i,
      confidence: 0.945,
      because: 'a refused signature that comes of a wrong clock',
    },
    {
      match:
        /['"](?:error|code|type|reason|status)['"]: ?['"](?:invalid_auth|not_authed|account_inactive|token_(?:revoked|expired|invalid)|invalid_token|invalid_grant|invalid_client|unauthorized|unauthenticated)['"]/,
      confidence: 0.955,
      because: 'error codes of APIs',
    },
    {
      match: /\b(?<status>401) status code\b/,
      confidence: 0.95,
      because: 'SDKs of model providers on an answer without a body',
    },
  ],
  never: [/getUpdates request|git@|fatal: (?:authentication|could not read)/i],
  matches: [
    {
      text: "2026-01-05 10:00:00,123 ERROR [llm] Error code: 401 - {'error': {'type': 'authentication_error', 'message': 'invalid x-api-key'}}",
      facts: { status: 401 },
    },
    { text: 'FATAL:  password authentication failed for user "agent"' },
    { text: '2026-01-05 10:00:00,123 ERROR [http] 401 Unauthorized', facts: { status: 401 } },
    {
      text: 'Jan  5 10:00:00 vm sshd[812]: Failed password for root from 192.0.2.9 port 40222 ssh2',
      facts: { host: '192.0.2.9', port: 40222 },
    },
    {
      text: '2026-01-05 10:00:00,123 ERROR [cloud] botocore.exceptions.NoCredentialsError: Unable to locate credentials',
    },
    {
      text: '2026-01-05 10:00:00,123 ERROR [mail] smtplib.SMTPAuthenticationError: (535, b"5.7.8 Error: authentication failed")',
    },
    {
      text: '2026-01-05 10:00:00,123 ERROR [time] An error occurred (RequestTimeTooSkewed) when calling the ListBuckets operation',
    },
    { text: 'npm error code ENEEDAUTH\nnpm error need auth This command requires you to be logged in.' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] authenticated' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: "401 Unauthorized"?' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] token refreshed' },
    { text: 'Jan  5 10:00:00 vm sshd[812]: Accepted publickey for deploy from 192.0.2.9 port 40222 ssh2' },
  ],
});
