// A setting, environment variable or configuration file is missing or cannot be used.

import { defineRules } from './contract.ts';

export default defineRules(
  {
    name: 'config-error',
    type: 'config_error',
    severity: 'high',
    patterns: [
      {
        on: 'exception',
        match:
          /(?:^|[.:\\\s])(?:Config(?:uration)?(?:Error|Exception|NotFound|FileNotFound|Invalid|Validation)\w*|ImproperlyConfigured|InvalidConfig\w*|BadConfig\w*|MissingConfig\w*|SettingsError|MissingEnv\w*|UndefinedValueError|EnvError|EnvironmentVariable\w*|InvalidSetting\w*|MissingSetting\w*|BeanDefinition(?:Store|Override|Parsing)Exception|ConfigDataLocationNotFoundException|ConfigurationPropertiesBindException)\b/,
        words: [
          ...['error', 'exception', 'notfound', 'filenotfound', 'invalid', 'validation'].flatMap((end) => [
            `config${end}`,
            `configuration${end}`,
          ]),
          ...['improperlyconfigured', 'invalidconfig', 'badconfig', 'missingconfig', 'settingserror', 'missingenv'],
          ...['undefinedvalueerror', 'enverror', 'environmentvariable', 'invalidsetting', 'missingsetting'],
          ...['beandefinition', 'configdatalocationnotfound', 'configurationpropertiesbind'],
        ],
        confidence: 0.96,
        because: 'exception classes for configuration',
      },
      {
        match:
          /yaml\.(?:scanner\.ScannerError|parser\.ParserError|constructor\.ConstructorError|composer\.ComposerError|reader\.ReaderError)|tomllib?\.\w*Decode(?:r)?Error|TomlDecodeError|YAMLParseError|YAMLException|YAMLSemanticError|YAMLSyntaxError|configparser\.\w+Error|Psych::(?:SyntaxError|BadAlias|DisallowedClass)|ini4j|InvalidFileFormatException|org\.yaml\.snakeyaml\.\S{1,60}Exception|yaml: (?:line \d+|unmarshal errors|control characters|mapping values)|toml: (?:line|expected|cannot)|error converting YAML to JSON/,
        confidence: 0.95,
        because: 'parsers that read configuration files',
      },
      {
        match:
          /(?:[Mm]issing|[Rr]equired?s?|[Uu]ndefined|[Uu]nset|not set|[Nn]o|[Ii]nvalid|[Ss]et)\b[^\n]{0,40}?(?:[Ee]nvironment [Vv]ariables?|[Ee]nv(?:ironment)? vars?|ENV)\b[^A-Z\n]{0,30}['"`({[]{0,2}(?<env>[A-Z][A-Z0-9]*_[A-Z0-9_]{1,60})/,
        confidence: 0.955,
        because: 'usual wording',
      },
      {
        match:
          /[Ee]nv(?:ironment)?(?: [Vv]ar(?:iable)?s?)? ['"`(]{0,2}(?<env>[A-Z][A-Z0-9_]{2,60})['"`)]{0,2} (?:is |was |must be |are |has )?(?:missing|not (?:been )?(?:set|found|defined|specified|provided|configured)|required|undefined|unset|empty|set\b|invalid)/,
        confidence: 0.955,
        because: 'usual wording',
      },
      {
        match:
          /\b(?<env>[A-Z][A-Z0-9]*_[A-Z0-9_]{1,60})\b['"`]? ?(?:environment variable |env var )?(?:is |was |must be |are |has )?(?:missing|not (?:been )?(?:set|found|defined|specified|provided|configured)|required|undefined|unset|empty\b)|(?:[Mm]issing|[Uu]ndefined|[Uu]nset|not set)(?: required)?(?: \w+){0,2}:? ['"`]?(?<env2>[A-Z][A-Z0-9]*_[A-Z0-9_]{1,60})\b/,
        confidence: 0.94,
        because: 'a name in capitals with a line below is a variable',
      },
      {
        match:
          /[Ee]nvironment variables? (?:not (?:found|set|defined)|missing|undefined|required):? ['"`]?(?<env>[A-Z][A-Z0-9_]{2,60})\b/,
        confidence: 0.96,
        because: 'Prisma and others',
      },
      {
        match:
          /Error: (?:INSTALLATION|UPGRADE) FAILED: |values don't meet the specifications of the schema|Compose file '[^'\n]{1,200}' is invalid|contains an invalid type, it should be/,
        confidence: 0.95,
        because: 'Helm and compose',
      },
      {
        match: /(?<env>[A-Za-z_]\w{1,60}): (?:parameter (?:null or not set|not set)|unbound variable)/,
        confidence: 0.95,
        because: 'shells with set -u',
      },
      {
        on: 'exception',
        match: /KeyError: ['"](?<env>[A-Z][A-Z0-9]*_[A-Z0-9_]{1,60})['"]/,
        confidence: 0.93,
        because: 'os.environ in Python: names of variables are upper case',
      },
      {
        match:
          /Unrecognized (?:key|option|configuration|setting)|[Uu]nknown (?:configuration|config|setting|directive|lvalue|key name|option in config)|[Uu]nrecognized configuration|[Ii]nvalid (?:configuration|config|setting|settings)\b|[Mm]issing (?:required )?(?:configuration|config|settings?)\b|[Ii]nvalid value for (?:option|setting|parameter|config|key|field)|(?:bad|illegal) configuration option/,
        confidence: 0.91,
        because: 'usual wording',
      },
      {
        match:
          /[Cc]onfig(?:uration)? (?:is |file |validation |value |parse |check |test )?(?:invalid|error|failed|missing|not valid|incomplete)\b/,
        words: ['invalid', 'error', 'failed', 'missing', 'not valid', 'incomplete'],
        confidence: 0.91,
        because: 'usual wording',
      },
      {
        match:
          /\d validation errors? for \w*(?:[Ss]ettings|[Cc]onfig(?:uration)?|Env(?:ironment)?|Options|Preferences)\b/,
        confidence: 0.96,
        because: 'pydantic on a class of settings',
      },
      {
        match:
          /(?:unknown|invalid|duplicate|unexpected) (?:directive|log format|"\w+" directive|variable|parameter|number of arguments|port in|end of file)[^\n]{0,200} in (?<path>\/\S{1,300}?):(?<sourceLine>\d{1,6})|nginx: configuration file (?<path2>\S{1,300}) test failed|host not found in upstream|directive is not (?:allowed|terminated)|(?:"|')(?:server|upstream|location|http|listen)(?:"|') directive|no "\w+" is defined for/,
        confidence: 0.95,
        because: 'nginx',
      },
      {
        match: / in (?<path>\/\S{1,300}\.conf|\/etc\/\S{1,300}?):(?<sourceLine>\d{1,6})$/,
        words: ['.conf:', '/etc/', '\\/etc\\/'],
        confidence: 0.95,
        byLevel: true,
        because: 'nginx names the place in its configuration',
      },
      {
        match:
          /Syntax error on line (?<sourceLine>\d{1,6}) of (?<path>\S{1,300}):|Invalid command '[^'\n]{1,80}', perhaps misspelled|AH00526|AH00112|AH00558|AH00014/,
        confidence: 0.95,
        because: 'Apache httpd',
      },
      {
        match:
          /configuration file "?(?<path>[^"\n]{1,300}?)"? contains errors|syntax error in file "(?<path2>[^"\n]{1,300})" line (?<sourceLine>\d{1,6})|unrecognized configuration parameter|invalid value for parameter|could not open configuration file|unknown variable '|parameter "[^"\n]{1,80}" (?:cannot be|requires)|\*\*\* FATAL CONFIG FILE ERROR|Bad directive or wrong number of arguments/,
        confidence: 0.965,
        because: 'PostgreSQL, MySQL and Redis read their configuration',
      },
      {
        match:
          /(?<path>\/\S{1,200}\.(?:conf|cfg|ini)[\w.]{0,20}):(?<sourceLine>\d{1,6})\]? ?: (?:missing|unknown|unexpected|expected|syntax|bad|invalid|option|directive|parsing|undefined)|unknown keyword '[^'\n]{1,80}' in '|[Ee]rror\(s\) found in configuration file/,
        confidence: 0.945,
        because: 'HAProxy, BIND and other servers name the place in their configuration',
      },
      {
        match:
          /Nest can't resolve dependencies of|Error: (?:Missing required argument|Unsupported (?:argument|block type)|Reference to undeclared|Invalid (?:provider|backend|module) configuration|No value for required variable|Invalid value for (?:input )?variable)|[Mm]issing [`'"]?\w{0,40}(?:secret|token|key|password|url|dsn)\w{0,40}[`'"]? for\b/,
        confidence: 0.93,
        because: 'NestJS, Terraform and Rails on what they were given to start with',
      },
      {
        match: /Permissions 0\d{3} for '(?<path>[^'\n]+)' are too open|UNPROTECTED PRIVATE KEY FILE/,
        confidence: 0.97,
        because: 'ssh refuses a key that others can read',
      },
      {
        match:
          /(?:[Cc]onfig(?:uration)?|settings|\.env|env) file (?:['"`]?(?<path>[^\s'"`]{1,300})['"`]? )?(?:is |was |could |does |can )?(?:not (?:be )?(?:found|exist|readable|read|loaded|opened|parsed)|missing|broken|corrupt(?:ed)?|empty|unreadable)|(?:[Cc]ould not|[Cc]annot|[Cc]an't|[Uu]nable to|[Ff]ailed to|[Ee]rror) (?:load|read|parse|open|find|loading|reading|parsing|opening|validate|validating)(?: the| your)? (?:\S{1,40} )?(?:config(?:uration)?|settings|\.env)\b/,
        confidence: 0.94,
        because: 'usual wording',
      },
      {
        match:
          /(?:ENOENT: no such file or directory, \w+|No such file or directory:?|FileNotFoundError:[^\n]{0,60}|cannot open|could not (?:find|open|read)|not found:?|does not exist:?) ['"`]?(?<path>[^\s'"`\n]{0,300}(?:\.env(?:\.\w+)?|config(?:uration)?[\w.-]{0,40}\.(?:json|ya?ml|toml|ini|conf|js|ts|py|php|xml|properties)|settings[\w.-]{0,40}\.(?:json|ya?ml|toml|ini|py|xml)|\.(?:toml|ini|cfg|conf|ya?ml|properties)|\/etc\/[\w./-]{1,200}))['"`]?/,
        confidence: 0.945,
        because: 'a file called like a configuration is not there',
      },
      {
        match:
          /Failed to parse (?:service|unit)|Unit \S{1,120} has a bad unit (?:file )?setting|(?<path>\/\S{1,200}\.(?:service|timer|socket|mount)):(?<sourceLine>\d{1,5}): |Executable path is not absolute|bad unit file setting|lacks (?:both )?ExecStart|Unit \S{1,120} not found|Failed to load environment files|Failed to (?:determine|set up) (?:user credentials|mount namespacing)|changed on disk\. Run 'systemctl daemon-reload'/,
        confidence: 0.935,
        because: 'systemd on unit files',
      },
      {
        match:
          /Failed at step (?:EXEC|CHDIR|USER|GROUP|NAMESPACE|CGROUP|CREDENTIALS)[^\n]{0,60}|status=(?:200\/CHDIR|203\/EXEC|217\/USER|216\/GROUP|226\/NAMESPACE)/,
        confidence: 0.955,
        because: 'systemd cannot start what the unit names',
      },
      {
        match:
          /Could not resolve placeholder '(?<env>[\w.-]{1,120})'|Failed to bind properties under|required a bean of type|No qualifying bean of type|Failed to configure a DataSource|Could not bind properties|[Pp]roperty '?[\w.-]{1,80}'? (?:must not be|is required|not found)|[Nn]o active profile set.{0,20}error/,
        confidence: 0.9,
        because: 'Spring',
      },
      {
        match:
          /(?:dotenv|process\.env)[^\n]{0,80}(?:missing|undefined|not found|required)|Invalid environment variables|getenv: \w+ not set|interpolat\w+ [^\n]{0,60}(?:variable|required)|variable is not set\. Defaulting to a blank|required variable (?<env>[A-Z][A-Z0-9_]{1,60}) is missing|service "[^"\n]{1,80}" refers to undefined|services\.[\w.-]{1,80} (?:must be|Additional property)|Additional propert(?:y|ies) [\w.-]{1,40} (?:is|are) not allowed|error validating data: |unknown field "|strict decoding error|error unmarshaling|unknown flag: --|flag provided but not defined|unrecognized arguments: |error: the following arguments are required|unknown (?:option|argument|flag)[: ]|no such option: |unexpected argument/i,
        confidence: 0.88,
        because: 'compose, Kubernetes manifests, environments and command lines',
      },
      {
        match:
          /locale\.Error: unsupported locale setting|(?:Cannot|cannot) set LC_\w+|setlocale: LC_|Invalid timezone|unknown time zone/,
        confidence: 0.93,
        because: 'a locale or time zone that is not there',
      },
      {
        match:
          /\b(?:token|key|secret|credentials?|url|password|webhook|endpoint|profile|account|channel|provider|model|api[_ ]key|dsn)\b (?:is |was |has |are |must be )?(?:not (?:been )?(?:configured|set|specified|provided in config)|unconfigured|missing from (?:the )?(?:config|settings|environment))|\bmisconfigur(?:ed|ation)\b|[Nn]o (?:config|configuration) (?:found|file|for|provided)|MUST utilize https|insecure_transport/,
        byLevel: true,
        confidence: 0.86,
        because: 'usual wording',
      },
      {
        on: 'exception',
        match:
          /(?:JSONDecodeError|SyntaxError|JsonParseException|JsonSyntaxException|JsonException): [^\n]{0,200}(?:config|settings|\.env|package\.json|tsconfig|\.jsonc?)\b/,
        confidence: 0.94,
        because: 'a JSON parser on a configuration file',
      },
      {
        match:
          /\bENOENT\b[^\n]{0,80}\bpackage\.json\b|EJSONPARSE|Failed to parse json|error parsing (?:package|tsconfig|composer)\.json|Invalid package\.json/,
        confidence: 0.935,
        because: 'npm and its kin',
      },
      {
        match:
          /template (?:is|was) not (?:resolved|substituted)|\$\{[A-Z][A-Z0-9_]{2,60}\} (?:is|was|in) (?:not|un)|unresolved placeholder|literal "?\$\{(?<env>[A-Z][A-Z0-9_]{2,60})\}/,
        confidence: 0.93,
        because: 'a placeholder that nothing has filled',
      },
      {
        match:
          /sudden (?:shrink|drop)|(?:pidfile|PID file|pid file)[^\n]{0,120}(?:exists|already running|stale|not readable)|lock ?file "?[^"\n]{1,200}"? already exists/i,
        confidence: 0.885,
        because: 'a left-over file says that the service runs already',
      },
      {
        match: /\bbad (?:minute|hour|day-of-month|month|day-of-week|command|username)$|errors in crontab file/,
        confidence: 0.93,
        because: 'cron refuses a table',
      },
      {
        match: /Bad configuration option: |terminating, \d{1,3} bad configuration options/,
        confidence: 0.95,
        because: 'OpenSSH refuses its configuration',
      },
      {
        match: /[Nn]o configuration (?:has been |was )?(?:provided|found|given|supplied)\b|invalid configuration: /,
        confidence: 0.86,
        because: 'kubectl and others without a configuration; from documentation',
      },
      {
        match:
          /Failed to bind properties under '|Could not resolve placeholder '|APPLICATION FAILED TO START[^\n]{0,40}propert/,
        confidence: 0.985,
        because: 'Spring Boot on its properties; from documentation',
      },
      {
        match:
          /must be set either by passing \S{1,60} to \S{1,60} ?\S{0,30} or by setting the (?<env>[A-Z][A-Z0-9_]{2,60})|(?:set|export|define|provide)(?: up)? (?:the |an |your )?(?:(?<env2>[A-Z][A-Z0-9]{1,30}_[A-Z0-9_]{2,60})|`(?<env3>[A-Z][A-Z0-9_]{2,60})`) (?:environment variable|env var)/,
        confidence: 0.975,
        because: 'client libraries ask for a variable',
      },
      {
        match:
          /Unsupported config option for |[Ii]nvalid (?:volume|mount|port|network) specification\b|Directive '[\w-]{1,60}' is not allowed|is not allowed within a Match block|[Ee]rror (?:while |when )?(?:building|loading|parsing|reading|validating|decoding) (?:the |your )?(?:static |dynamic )?config(?:uration)?\b|[Nn]o config(?:uration)? file \S{0,80} ?(?:was |could be )?found/,
        confidence: 0.92,
        because: 'compose, OpenSSH, Traefik and others on their configuration',
      },
    ],
    never: [/using (?:the )?defaults?\b|\(optional\)|falling back to defaults?|not an error/i],
    matches: [
      { text: 'yaml.scanner.ScannerError: mapping values are not allowed here\n  in "config.yaml", line 3, column 9' },
      { text: "2026-01-05 10:00:00,123 CRITICAL [agent] KeyError: 'TELEGRAM_TOKEN'", facts: { env: 'TELEGRAM_TOKEN' } },
      {
        text: '2026-01-05 10:00:00,123 ERROR [agent] Missing required environment variable: OPENAI_API_KEY',
        facts: { env: 'OPENAI_API_KEY' },
      },
      {
        text: "2026-01-05 10:00:00,123 ERROR [agent] Error: ENOENT: no such file or directory, open '/srv/agent/.env'",
        facts: { path: '/srv/agent/.env' },
      },
      {
        text: 'nginx: [emerg] unknown directive "proxy_pas" in /etc/nginx/conf.d/a.conf:14',
        facts: { path: '/etc/nginx/conf.d/a.conf', sourceLine: 14 },
      },
      { text: '2026-01-05 10:00:00.123 UTC [77] FATAL:  configuration file "/srv/pg/postgresql.conf" contains errors' },
      { text: "Permissions 0644 for '/srv/agent/.ssh/id' are too open.", facts: { path: '/srv/agent/.ssh/id' } },
      {
        text: 'Jan  5 10:00:00 vm systemd[1]: agent.service: Failed at step EXEC spawning /srv/agent/run: No such file or directory',
      },
      { text: '2026-01-05 10:00:00,123 ERROR [agent] agents.list.11: Unrecognized key: "thinking"' },
      { text: 'run.sh: line 4: DATA_DIR: unbound variable', facts: { env: 'DATA_DIR' } },
      { text: 'locale.Error: unsupported locale setting' },
    ],
    rejects: [
      { text: '2026-01-05 10:00:00,123 INFO [agent] configuration loaded' },
      { text: '2026-01-05 10:00:00,123 INFO [agent] no environment variable overrides' },
      { text: '2026-01-05 10:00:00,123 INFO [docs] missing config is reported as ConfigError' },
      { text: '2026-01-05 10:00:00,123 WARNING [agent] config file override.yaml not found, using defaults' },
    ],
  },
  {
    name: 'config-file-broken',
    type: 'config_error',
    severity: 'high',
    patterns: [
      {
        on: 'text',
        match:
          /(?:(?:config|settings|preferences|options|package|secrets|credentials|profile)[\w.-]{0,40}\.(?:json|ya?ml|toml)\b|\.env\b|, in \w{0,40}(?:config|settings)\w{0,20}$|[\\/](?:config|settings)\w{0,20}\.py")[^\n]{0,200}\n(?:[^\n]{0,400}\n){0,14}(?:json\.decoder\.)?JSONDecodeError: /im,
        confidence: 0.89,
        because: 'a JSON parser fails in a frame that opens a file called like a configuration',
      },
      {
        on: 'text',
        match: /SyntaxError: [^\n]{0,200}JSON[^\n]{0,200}(?:\n[^\n]{0,400}){0,14}(?:config|settings)/i,
        confidence: 0.94,
        because: 'JSON.parse of Node in a frame called like a configuration',
      },
      {
        on: 'exception',
        match:
          /SyntaxError: (?:Unexpected (?:token|end of JSON|non-whitespace)|Unterminated string in JSON|Expected [^\n]{1,60} in JSON|Bad control character in string literal in JSON)[^\n]{0,200}JSON/,
        confidence: 0.86,
        because: 'JSON.parse of Node',
      },
    ],
    matches: [
      {
        text: 'Traceback (most recent call last):\n  File "/srv/agent/main.py", line 4, in <module>\n    cfg = json.load(open("config.json"))\n  File "/usr/lib/python3.11/json/__init__.py", line 293, in load\n    return loads(fp.read(),\njson.decoder.JSONDecodeError: Expecting \',\' delimiter: line 12 column 5 (char 310)',
      },
      {
        text: 'undefined:4\n  "a"\n\nSyntaxError: Unterminated string in JSON at position 40\n    at JSON.parse (<anonymous>)\n    at loadSettings (/srv/agent/settings.mjs:4:10)',
      },
      {
        text: 'Traceback (most recent call last):\n  File "/srv/agent/main.py", line 9, in load\n    return json.loads((HERE / "settings.json").read_text())\njson.decoder.JSONDecodeError: Unterminated string starting at: line 4 column 13 (char 51)',
      },
    ],
    rejects: [
      { text: '2026-01-05 10:00:00,123 INFO [agent] config.json reloaded' },
      { text: '2026-01-05 10:00:00,123 INFO [agent] JSON config ok' },
      { text: '2026-01-05 10:00:00,123 INFO [chat] user: JSONDecodeError in config.json?' },
    ],
  },
);
