// Money, credits or a plan are used up. Waiting does not help.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'quota-exhausted',
  type: 'quota_exhausted',
  severity: 'high',
  fixable: false,
  patterns: [
    {
      match:
        /insufficient_quota|billing_hard_limit_reached|billing_not_active|access_terminated|credit_balance_too_low/,
      level: 'info',
      confidence: 0.98,
      because: 'error codes of the OpenAI API and its kin',
    },
    {
      match: /exceeded your current quota/,
      level: 'info',
      confidence: 0.975,
      because: 'text of the OpenAI and Google APIs',
    },
    {
      match:
        /credit balance is too low|insufficient (?:account )?(?:balance|credits?|funds)\b|requires more credits|(?:run|ran|are|is) out of (?:credits|funds|tokens for|searches|requests|quota|balance)|balance (?:is )?(?:insufficient|too low|exhausted)|no (?:credits|balance) (?:left|remaining)|not enough (?:credits|balance)|add more credits|exceeded your monthly included credits/i,
      confidence: 0.97,
      because: 'Anthropic, DeepSeek, OpenRouter, Hugging Face and resellers',
    },
    {
      match: /\bPayment Required\b|PaymentRequired\w*|payment_required/,
      confidence: 0.96,
      because: 'reason phrase of status 402',
    },
    {
      match:
        /(?:error[ _]?code|status(?:[ _]?code)?|http(?:\/\d(?:\.\d)?)?|Error)["'\\]{0,3}(?:\s?[:=]\s?|\s|\(){1,2}["'\\]{0,2}(?<status>402)\b/i,
      words: ['\\b402\\b'],
      confidence: 0.94,
      because: 'a client prints status 402',
    },
    {
      match:
        /(?:Requests|Tokens)PerDay(?:Per|-Free|Free)|free[_ -]tier[_a-z ]{0,40}(?:requests|tokens|quota|limit)|quota[_ ]?exceeded|QuotaExceeded(?:Error|Exception)?|dailyLimitExceeded|quotaExceeded/,
      level: 'info',
      confidence: 0.965,
      because: 'names of daily quotas in Google APIs, and error codes of clouds',
    },
    {
      match:
        /\b(?:monthly|daily|weekly|5-hour|usage|spend(?:ing)?|plan|token|billing|budget) (?:usage |spend |request )?(?:limit|quota|cap|allowance|budget)s?(?: (?:has been|is|was|of \S{1,20}))? (?:reached|exceeded|exhausted|used up)\b|\b(?:reached|exceeded|exhausted|hit) (?:your|the|our|its) (?:\w+ ){0,3}(?:usage limit|spending limit|spend limit|quota|monthly limit|daily limit|plan limit|weekly limit)/i,
      words: [...['reached', 'exceeded', 'exhausted', 'used up'], ...['hit your', 'hit the', 'hit our', 'hit its']],
      confidence: 0.945,
      because: 'wording of plans and budgets',
    },
    {
      match:
        /(?:subscription|trial|licen[cs]e|plan) (?:has |is )?(?:expired|inactive|lapsed|past due)|account (?:is )?(?:not active|suspended for non-payment)/i,
      words: [' expired', ' inactive', ' lapsed', ' past due', ' not active', ' suspended for'],
      confidence: 0.9,
      because: 'a contract that has ended',
    },
    {
      match: /\bquota\b[^\n]{0,40}\b(?:exhausted|exceeded|used up|depleted)\b|\bout of quota\b/i,
      confidence: 0.925,
      because: 'usual wording',
    },
  ],
  never: [
    /disk quota|memory quota|EDQUOT|block quota|inode quota|quota exceeded \(122\)|resourcequota|exceeded quota: /i,
  ],
  matches: [
    {
      text: "2026-01-05 10:00:00,123 ERROR [llm] openai.RateLimitError: Error code: 429 - {'error': {'code': 'insufficient_quota'}}",
      facts: { status: 429, provider: 'openai' },
    },
    {
      text: '2026-01-05 10:00:00,123 ERROR [llm] You exceeded your current quota, please check your plan and billing details.',
    },
    { text: '2026-01-05 10:00:00,123 ERROR [llm] Your credit balance is too low to access the API' },
    { text: '2026-01-05 10:00:00,123 ERROR [llm] APIStatusError: 402 Payment Required' },
    { text: '2026-01-05 10:00:00,123 ERROR [llm] deepseek answered: Insufficient Balance' },
    { text: '2026-01-05 10:00:00,123 WARNING [llm] monthly usage limit reached, the key stays idle until the first' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] quota used 40 %' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: "what is insufficient_quota?"' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] disk quota fine' },
    { text: '2026-01-05 10:00:00,123 ERROR [files] write: Disk quota exceeded' },
  ],
});
