// Shared by the scripts that test the page of the example `rooms`: the people at it, and what they see and hear.

import { assert, fail } from './checks.mjs';
import { connected, log } from './page.mjs';

/** Opens the page in a browser context of its own, waits until it is connected, and enters a name. */
export async function person(browser, address, name) {
  const context = await browser.newContext();
  context.setDefaultTimeout(20_000);
  const page = await open(context, address);
  await connected(page);
  await is(here(page, await page.getByLabel('Your name').getAttribute('placeholder')), 1); // or the others would only hear of the new name
  await page.getByLabel('Your name').fill(name);
  await page.getByLabel('Your name').press('Enter');
  await is(here(page, name), 1);
  return { context, page };
}

export async function open(context, address) {
  const page = await context.newPage();
  page.on('pageerror', error => fail('no error in the page', error.stack));
  page.on('console', message => { if (message.type() === 'warning') fail('no warning in the page', message.text()); });
  page.on('request', request => { if (!request.url().startsWith(`http://${address}/`)) fail('the page needs nothing from elsewhere', request.url()); });
  await page.goto(`http://${address}`);
  return page;
}

/** Keeps the client of a page from connecting again until the returned function is called. */
export async function keptAway(page) {
  await page.evaluate('client._connect = () => {}');
  return () => page.evaluate('delete client._connect; client.open()');
}

/** Finds a person in the list of those present, with a mark such as `typing`. */
export const here = (page, name, mark = '(you)?') =>
  page.getByRole('complementary').getByRole('listitem').filter({ has: page.getByText(name, { exact: true }), hasText: new RegExp(`${name}${mark}$`) });

export async function is(locator, count) {
  await (count ? locator.first().waitFor() : locator.first().waitFor({ state: 'detached' }));
  assert(await locator.count() === count, `there are ${await locator.count()}, not ${count}`);
}

/** Waits for a message, and asserts its displayed author. */
export async function hears(page, text, by) {
  const item = log(page).locator('li.said', { has: page.getByText(text, { exact: true }) }).last();
  await item.waitFor();
  const author = await item.locator('b').textContent();
  assert(author === by, `“${text}” is shown as said by ${author}`);
  assert((await item.getAttribute('class')).includes('own') === (by === 'You'), `“${text}” is on the wrong side`);
}

/** Asserts that the last messages on the page are these, each once. */
export async function hasHeard(page, texts) {
  await log(page).getByText(texts.at(-1), { exact: true }).last().waitFor();
  const shown = await log(page).locator('li.said .text').allTextContents();
  const last = shown.slice(-texts.length);
  assert(JSON.stringify(last) === JSON.stringify(texts), `the last messages are ${JSON.stringify(last)}, expected ${JSON.stringify(texts)}`);
  for (const text of texts) assert(shown.filter(other => other === text).length === 1, `“${text}” is there more than once`);
}
