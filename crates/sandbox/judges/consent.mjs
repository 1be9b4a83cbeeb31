// A person who looks at a consent page of the sandbox.

/** Grants everything that the page at `address` asks for, as the account `judge`: what the browser is sent back with. */
export async function consent(address) {
  const page = await fetch(address);
  const html = await page.text();
  if (!page.ok) throw new Error(`the consent page says ${page.status}: ${html}`);
  const form = new URLSearchParams({ account: 'judge', allow: '1' });
  for (const [input] of html.matchAll(/<input [^>]*>/g)) {
    const { type, name, value } = attributes(input);
    if (type === 'hidden' || type === 'checkbox') form.append(name, value);
  }
  const sent = await fetch(address, { method: 'POST', body: form, redirect: 'manual' });
  const back = sent.headers.get('location');
  if (back === null) throw new Error(`the consent page says ${sent.status}: ${await sent.text()}`);
  return Object.fromEntries(new URL(back).searchParams);
}

const SIGNS = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"' };

function attributes(tag) {
  const all = [...tag.matchAll(/([a-z]+)="([^"]*)"/g)];
  return Object.fromEntries(all.map(([, name, text]) => [name, text.replace(/&\w+;/g, (sign) => SIGNS[sign] ?? sign)]));
}
