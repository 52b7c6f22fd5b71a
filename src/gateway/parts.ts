// Parts of conversations that both dialects of OpenAI write in the same way.

import type { ImageSource, ResultPart } from './dialects/contract.ts';

/** A picture as a URL: `data:` or its address. */
export function imageUrl(image: ImageSource): string {
  return image.kind === 'url' ? image.url : `data:${image.mediaType};base64,${image.base64}`;
}

export function imageOf(url: string): ImageSource {
  const data = /^data:([^;,]+);base64,(.*)$/s.exec(url);
  return data ? { kind: 'data', mediaType: data[1] ?? '', base64: data[2] ?? '' } : { kind: 'url', url };
}

/** Text of a tool's result. There is no mark for a tool that failed: the text has to say it. */
export function resultText(content: readonly ResultPart[], isError: boolean): string {
  const text = content.flatMap((part) => (part.kind === 'text' ? part.text : [])).join('');
  return isError && !/^error\b/i.test(text) ? `Error: ${text}` : text;
}
