// What a person sees of a notebook's outputs, in numbers; evaluated in its page.
(() => {
  const cells = () => [...document.querySelectorAll(".jp-Notebook .jp-Cell")];
  const outputs = (cell) => [...cell.querySelectorAll(".jp-OutputArea-output")];

  // A browser's own reading of a colour: red, green, blue (0 to 255), opacity (0 to 1).
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const colour = (text) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, opacity] = canvas.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, opacity / 255];
  };
  const over = (above, below) =>
    [0, 1, 2].map((i) => above[i] * above[3] + below[i] * (1 - above[3]));

  // https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (element) => {
    const own = colour(getComputedStyle(element).backgroundColor);
    if (own[3] === 1) return own.slice(0, 3);
    return over(own, element.parentElement ? behind(element.parentElement) : [255, 255, 255]);
  };
  const contrast = (element) => {
    const below = behind(element);
    const text = over(colour(getComputedStyle(element).color), below);
    const [dark, light] = [luminance(text), luminance(below)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const saysSomething = (element) =>
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());

  const seenCell = (cell) => {
    const { left, right } = cell.getBoundingClientRect();
    return { text: cell.innerText, align: getComputedStyle(cell).textAlign, left, right };
  };
  const seenTable = (table, page) => {
    const box = table.parentElement;
    const above = box.previousElementSibling;
    return {
      rows: [...table.rows].map((row) => [...row.cells].map(seenCell)),
      left: box.getBoundingClientRect().left,
      right: box.getBoundingClientRect().right,
      page: page.getBoundingClientRect().right,
      scrolls: ["auto", "scroll"].includes(getComputedStyle(box).overflowX),
      caption: above && { text: above.innerText, width: above.clientWidth, box: box.clientWidth },
      width: table.clientWidth,
    };
  };
  const seenOutput = (output) => ({
    kind: output.dataset.mimeType,
    text: output.innerText,
    height: output.getBoundingClientRect().height,
    contrast: Math.min(...[output, ...output.querySelectorAll("*")].filter(saysSomething).map(contrast)),
    behind: behind(output).join(),
    tables: [...output.querySelectorAll("table")].map((table) => seenTable(table, output)),
  });

  // Neither a stream, nor an error, nor a value that is a table.
  const isProgress = (output) =>
    !output.dataset.mimeType?.startsWith("application/vnd.jupyter.") && !output.querySelector("table");

  return {
    measure: () => cells().map((cell) => outputs(cell).map(seenOutput)),
    watch: () => {
      window.boatSeen = [];
      const look = () => {
        const shown = cells().map((cell) =>
          outputs(cell)
            .filter(isProgress)
            .map((output) => output.innerText.trim())
            .filter((text) => text),
        );
        window.boatSeen.push(shown.flat());
      };
      const notebook = document.querySelector(".jp-Notebook");
      new MutationObserver(look).observe(notebook, { childList: true, subtree: true, characterData: true });
    },
  };
})()
