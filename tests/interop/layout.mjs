// Shared by the scripts that test the pages of the examples: how a page looks at four widths, in light and in dark.

import { assert } from './checks.mjs';

export const WIDTHS = [1280, 768, 390, 320];

/** A name of the maximum length, 24 characters. */
export const LONG_NAME = 'Maximiliane Featherstone';
export const LONG_WORD = 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft'.repeat(3);

/**
 * Asserts that at each width, in light and in dark, the page is no wider than the window, no name is cut, no mark and no word of a name is
 * broken into lines, unless the word has more than 17 letters, texts and fields stand out from their background, and controls have names and are large enough to be tapped. `prepare` puts the page into the state
 * that is meant, after its width has changed.
 */
export async function fits(page, state, { widths = WIDTHS, prepare = async () => {} } = {}) {
  const before = page.viewportSize();
  for (const width of widths) {
    await page.setViewportSize({ width, height: 800 });
    await prepare(width);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      const faults = await page.evaluate(findFaults, colorScheme);
      assert(!faults.length, `${state}, ${width} px, ${colorScheme}:\n  ${faults.slice(0, 5).join('\n  ')}`);
    }
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null });
  await page.setViewportSize(before);
}

/** Runs in the page. */
function findFaults(colorScheme) {
  const faults = [];
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) faults.push(`the page is ${scrollWidth} px wide`);
  const pixel = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true });
  const toRgb = colors => {
    pixel.clearRect(0, 0, 1, 1);
    for (const color of colors) { pixel.fillStyle = color; pixel.fillRect(0, 0, 1, 1); }
    return [...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = colors => {
    const [r, g, b] = toRgb(colors).map(c => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const behind = element => {
    const backgrounds = [];
    for (let e = element; e; e = e.parentElement) backgrounds.unshift(getComputedStyle(e).backgroundColor);
    return backgrounds;
  };
  const isDark = luminance([getComputedStyle(document.body).backgroundColor]) < 0.2;
  if (isDark !== (colorScheme === 'dark')) faults.push('the background has the other color scheme');

  for (const element of document.body.querySelectorAll('*')) {
    const style = getComputedStyle(element);
    // Not shown at all, or for screen readers only.
    if (!element.checkVisibility({ visibilityProperty: true }) || element.closest('svg, option')) continue;
    const unseen = [element, element.parentElement, element.parentElement.parentElement].some(e => e && getComputedStyle(e).clipPath !== 'none');
    if (unseen) continue;
    const name = `${element.tagName.toLowerCase()}${element.id && `#${element.id}`}.${element.className} “${element.textContent.trim().slice(0, 30)}”`;
    const { left, right } = element.getBoundingClientRect();
    if (left < -0.5 || right > clientWidth + 0.5) faults.push(`${name} reaches from ${left} to ${right} px`);
    if (element.scrollWidth > element.clientWidth + 1 && style.overflowX !== 'visible') faults.push(`${name} is cut: ${element.scrollWidth} px in ${element.clientWidth} px`);
    if (element.matches('button, input, textarea')) {
      // WCAG 2.5.5 on a telephone, 2.5.8 elsewhere.
      const [{ width, height }, least] = [element.getBoundingClientRect(), innerWidth <= 390 ? 44 : 24];
      if (width < least || height < least) faults.push(`${name} has ${width} x ${height} px`);
      if (!/\p{L}/u.test(element.ariaLabel ?? element.labels?.[0]?.textContent ?? element.textContent)) faults.push(`${name} has no name`);
      const edge = contrast(behind(element.parentElement), [...behind(element.parentElement), style.borderColor]);
      if (element.matches('input, textarea') && edge < 3) faults.push(`${name} has an edge with a contrast of ${edge.toFixed(2)}`); // WCAG 1.4.11
    }
    const texts = [...element.childNodes].filter(node => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!texts.length || element.matches(':disabled')) continue;
    const difference = contrast(behind(element), [...behind(element), style.color]);
    if (difference < 4.5) faults.push(`${name} has a contrast of ${difference.toFixed(2)}`); // WCAG 1.4.3
    const range = document.createRange();
    const linesOf = () => new Set([...range.getClientRects()].map(rect => Math.round(rect.top))).size;
    if (element.matches('small, time, code')) {
      range.selectNodeContents(element);
      if (linesOf() > 1) faults.push(`${name} is broken into several lines`);
    }
    if (!element.matches('bdi')) continue;
    for (const text of texts) for (const word of text.data.matchAll(/[^\s-]+/g)) {
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      if (word[0].length <= 17 && linesOf() > 1) faults.push(`${name} is broken within a word`);
    }
  }
  const headings = [...document.querySelectorAll('h1')].filter(e => e.checkVisibility() && e.textContent.trim());
  if (headings.length !== 1) faults.push(`there are ${headings.length} headings of the first level`);
  return faults;
}

/** Asserts that the keyboard reaches these controls, in this order from the start of the page, and that each shows its focus. */
export async function tabsThrough(page, labels) {
  await page.evaluate(() => { document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex'); });
  for (const label of labels) {
    await page.keyboard.press('Tab');
    const focus = await page.evaluate(() => {
      const { activeElement: e } = document;
      return { label: e.ariaLabel ?? e.labels?.[0]?.textContent ?? e.textContent, outline: getComputedStyle(e).outlineStyle };
    });
    assert(focus.label === label, `the focus is on “${focus.label}”, not on “${label}”`);
    assert(focus.outline !== 'none', `the focus on “${label}” does not show`);
  }
}

/** Asserts that a page without a connection counts down to its next try, and tries at once when the button is clicked. */
export async function offline(page) {
  // From now on, the server refuses the page's connections. As many tries as these make it wait for seconds.
  await page.evaluate(`{
    const Original = WebSocket;
    WebSocket = class extends Original { constructor(url) { super(url.split('/ws')[0] + '/nothing'); } };
    const { random } = Math;
    Math.random = () => 0.9; // or there may be no time to count down
    restore = () => { WebSocket = Original; Math.random = random; };
    connection.tries = 5;
    if (globalThis.client) { client._failures = 5; client._socket.close(); }
    else { openedAt = Date.now(); socket.close(); }
  }`);
  const waits = () => page.getByText(/^Offline, next try in \d+ s$/);
  await waits().waitFor();
  const seconds = async () => parseInt((await waits().textContent()).match(/\d+/));
  const first = await seconds();
  await fits(page, 'offline');
  await page.waitForFunction(first => parseInt(document.querySelector('#why').textContent.match(/\d+/)) < first, first);
  const before = await page.evaluate('connection.tries');
  await page.getByRole('button', { name: 'Try now' }).click(); // is refused
  await page.waitForFunction(before => connection.tries > before, before);
  await waits().waitFor();
  await page.evaluate('restore()');
  await page.getByRole('button', { name: 'Try now' }).click();
  await page.getByRole('status').getByText('Connected', { exact: true }).waitFor();
  await waits().waitFor({ state: 'hidden' });
  await page.evaluate('connection.tries = 0');
}
