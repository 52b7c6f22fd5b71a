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
        match: /(?:^|\.)(?:ConfigError|ConfigurationError|ImproperlyConfigured|InvalidConfig\w*)\b/,
        confidence: 0.95,
        because: 'exception classes for configuration',
      },
      {
        on: 'exception',
        match:
          /yaml\.(?:scanner\.ScannerError|parser\.ParserError|constructor\.ConstructorError|composer\.ComposerError)|tomllib?\.\w*DecodeError|YAMLParseError|YAMLException|configparser\.\w+Error/,
        confidence: 0.94,
        because: 'parsers that read configuration files',
      },
      {
        match:
          /(?:[Mm]issing|[Rr]equired|undefined|not set)[^\n]{0,30}(?:environment variable|env(?:ironment)? var)\S*[: ]+['"`]?(?<env>[A-Z][A-Z0-9_]{2,60})/,
        confidence: 0.93,
        because: 'usual wording',
      },
      {
        match:
          /[Ee]nvironment variable ['"`]?(?<env>[A-Z][A-Z0-9_]{2,60})['"`]? (?:is )?(?:missing|not set|not found|required|undefined)/,
        confidence: 0.93,
        because: 'usual wording',
      },
      {
        on: 'exception',
        match: /KeyError: '(?<env>[A-Z][A-Z0-9]*_[A-Z0-9_]{1,60})'/,
        confidence: 0.92,
        because: 'os.environ in Python: names of variables are upper case',
      },
      {
        match:
          /Unrecognized key|[Uu]nknown (?:configuration|config) (?:key|option)|[Ii]nvalid configuration|[Mm]issing config(?:uration)?\b/,
        confidence: 0.85,
        because: 'usual wording',
      },
      {
        match: /Permissions 0\d{3} for '(?<path>[^'\n]+)' are too open/,
        confidence: 0.95,
        because: 'ssh refuses a key that others can read',
      },
      {
        on: 'exception',
        match: /(?:JSONDecodeError|SyntaxError): [^\n]{0,200}(?:config|settings|\.env)\b/,
        confidence: 0.92,
        because: 'a JSON parser on a configuration file',
      },
    ],
    matches: [
      { text: 'yaml.scanner.ScannerError: mapping values are not allowed here\n  in "config.yaml", line 3, column 9' },
      { text: "2026-01-05 10:00:00,123 CRITICAL [agent] KeyError: 'TELEGRAM_TOKEN'" },
      { text: '2026-01-05 10:00:00,123 ERROR [agent] Missing required environment variable: OPENAI_API_KEY' },
    ],
    rejects: [
      { text: '2026-01-05 10:00:00,123 INFO [agent] configuration loaded' },
      { text: '2026-01-05 10:00:00,123 INFO [agent] no environment variable overrides' },
      { text: '2026-01-05 10:00:00,123 INFO [docs] missing config is reported as ConfigError' },
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
          /(?:config|settings|\.env|\.ya?ml|\.toml|package\.json|appsettings|preferences|options|\.conf)[\s\S]{0,3000}?(?:json\.decoder\.)?JSONDecodeError: /,
        confidence: 0.94,
        because: 'a JSON parser fails in a frame that opens a file called like a configuration',
      },
      {
        on: 'text',
        match: /SyntaxError: [^\n]{0,200}JSON[\s\S]{0,2000}?(?:config|settings)/i,
        confidence: 0.94,
        because: 'JSON.parse of Node in a frame called like a configuration',
      },
      {
        on: 'exception',
        match:
          /SyntaxError: (?:Unexpected (?:token|end of JSON|non-whitespace)|Unterminated string in JSON|Expected [^\n]{1,60} in JSON|Bad control character in string literal in JSON)/,
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
