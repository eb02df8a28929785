// Shared by the scripts that test the pages of the examples: what a person does with a page, and sees on it.

import { assert } from './checks.mjs';

export const connected = page => page.getByRole('status').getByText('Connected', { exact: true }).waitFor();
export const log = page => page.getByRole('log');
export const sees = (page, line) => log(page).getByText(line, { exact: true }).last().waitFor();
export const isShown = locator => locator.filter({ visible: true }).count();

export async function says(page, text) {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.keyboard.press('Enter');
}

/** Asserts that a message of the reader's own has the accent color. */
export async function inAccentColor(item) {
  const [color, accent] = await item.locator('.text').evaluate(e => {
    const [{ backgroundColor }, send] = [getComputedStyle(e), getComputedStyle(document.querySelector('#send'))];
    return [backgroundColor, send.backgroundColor];
  });
  assert(color === accent, `the message is ${color}, not ${accent}`);
}
