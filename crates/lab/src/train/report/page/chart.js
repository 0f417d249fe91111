// Over a chart, the legend shows the values at the pointer; else those at the end.
for (const figure of document.querySelectorAll('.chart')) {
  const [last, lines] = JSON.parse(figure.querySelector('script').textContent);
  const area = figure.querySelector('.area');
  const cursor = figure.querySelector('.cursor');
  const unit = figure.querySelector('figcaption').appendChild(document.createElement('span'));
  unit.className = 'unit';
  const outputs = figure.querySelectorAll('output');
  const ends = [...outputs].map((output) => output.textContent);
  const all = [...new Set(lines.flatMap((line) => line.x))].sort((a, b) => a - b);
  const nearest = (xs, x) => {
    let [low, high] = [0, xs.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (xs[middle] < x) low = middle; else high = middle;
    }
    return x - xs[low] < xs[high] - x ? low : high;
  };
  area.addEventListener('pointermove', (event) => {
    const box = area.getBoundingClientRect();
    const step = all[nearest(all, ((event.clientX - box.left) / box.width) * last)];
    cursor.hidden = false;
    cursor.style.left = `${(step / last) * 100}%`;
    unit.textContent = `· step ${step.toLocaleString('en')}`;
    lines.forEach((line, index) => {
      const inside = step >= line.x[0] && step <= line.x[line.x.length - 1];
      outputs[index].textContent = inside ? line.y[nearest(line.x, step)] : '–';
    });
  });
  area.addEventListener('pointerleave', () => {
    cursor.hidden = true;
    unit.textContent = '';
    outputs.forEach((output, index) => { output.textContent = ends[index]; });
  });
}
