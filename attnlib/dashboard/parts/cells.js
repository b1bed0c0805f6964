// A picture divided into rows x cols cells: hover reads a cell, click or arrow keys choose one,
// the wheel zooms where that is allowed, a brush paints several. Python draws the picture; this only points at it.
// The cells fill the picture, or as much of its height and width as `covers` says.
const views = new WeakMap()
// Of each picture the one that sees its size; a run of the page begins another.
const watches = new WeakMap()

function decode(text) {
  if (!text) return null
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0))
  return new Float32Array(bytes.buffer)
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const root = parentElement.querySelector(".cells")
  const canvas = root.querySelector("canvas")
  const tip = root.querySelector(".tip")
  const { rows, cols } = data
  const [down, across] = data.covers
  const values = decode(data.values)
  let view = views.get(root)
  if (!view || view.shape !== `${rows}x${cols}`) {
    view = { x: 0, y: 0, zoom: 1, shape: `${rows}x${cols}` }
    views.set(root, view)
  }
  root.style.maxWidth = `${data.width}px`
  canvas.style.aspectRatio = `${data.aspect}`
  canvas.setAttribute("aria-label", data.alt)
  axis(root.querySelector(".left"), data.left, true)
  axis(root.querySelector(".top"), data.top, false)
  root.querySelector(".reset").style.display = data.zoom ? "" : "none"

  const picture = new Image()
  const draw = () => {
    const scale = window.devicePixelRatio || 1
    const width = canvas.clientWidth * scale
    const height = canvas.clientHeight * scale
    if (!width || !picture.complete) return
    if (canvas.width !== Math.round(width) || canvas.height !== Math.round(height)) {
      canvas.width = Math.round(width)
      canvas.height = Math.round(height)
    }
    const pen = canvas.getContext("2d")
    pen.setTransform(1, 0, 0, 1, 0, 0)
    pen.clearRect(0, 0, canvas.width, canvas.height)
    pen.imageSmoothingEnabled = data.smooth
    const w = canvas.width * view.zoom
    const h = canvas.height * view.zoom
    pen.translate(-view.x * w, -view.y * h)
    pen.drawImage(picture, 0, 0, w, h)
    pen.lineWidth = scale
    pen.strokeStyle = "rgba(127,127,127,.9)"
    pen.beginPath()
    const cell = { w: (w * across) / cols, h: (h * down) / rows }
    for (const r of data.row_lines) { pen.moveTo(0, r * cell.h); pen.lineTo(w, r * cell.h) }
    for (const c of data.col_lines) { pen.moveTo(c * cell.w, 0); pen.lineTo(c * cell.w, h) }
    pen.stroke()
    for (const [r, c] of data.selected) frame(pen, r, c, cell, scale)
    for (const [r, c] of stroke) frame(pen, r, c, cell, scale)
    if (view.over) frame(pen, ...view.over, cell, scale / 2)
  }
  // Cells that the brush passed over; between two moves of the pointer, those on the way.
  let stroke = []
  const touch = (cell) => {
    const [r, c] = stroke.at(-1) ?? cell
    const steps = Math.max(Math.abs(cell[0] - r), Math.abs(cell[1] - c), 1)
    for (let i = 1; i <= steps; i++) {
      const on = [r, c].map((from, k) => Math.round(from + ((cell[k] - from) * i) / steps))
      stroke.push(on)
    }
  }
  const frame = (pen, r, c, cell, thick) => {
    const box = [c * cell.w, r * cell.h, cell.w, cell.h]
    pen.lineWidth = 4 * thick
    pen.strokeStyle = "#000"
    pen.strokeRect(...box)
    pen.lineWidth = 2 * thick
    pen.strokeStyle = "#fff"
    pen.strokeRect(...box)
  }
  const at = (event) => {
    const box = canvas.getBoundingClientRect()
    const x = (event.clientX - box.left) / box.width / view.zoom + view.x
    const y = (event.clientY - box.top) / box.height / view.zoom + view.y
    const r = Math.floor((y / down) * rows)
    const c = Math.floor((x / across) * cols)
    return r >= 0 && c >= 0 && r < rows && c < cols ? [r, c] : null
  }
  const pick = (cell) => data.clickable && setTriggerValue("cell", { row: cell[0], col: cell[1] })
  const clamp = () => {
    view.x = Math.min(Math.max(view.x, 0), 1 - 1 / view.zoom)
    view.y = Math.min(Math.max(view.y, 0), 1 - 1 / view.zoom)
  }
  const name = (names, i, word) => (names ? names[i] : `${word} ${i}`)

  picture.onload = draw
  picture.src = data.image
  canvas.style.cursor = data.clickable ? "pointer" : "crosshair"
  let drag = null
  canvas.onpointerdown = (event) => {
    drag = { x: event.clientX, y: event.clientY, vx: view.x, vy: view.y, moved: false }
    if (data.zoom || data.brush) canvas.setPointerCapture(event.pointerId)
    const cell = at(event)
    if (data.brush && cell) { touch(cell); draw() }
  }
  canvas.onpointerup = (event) => {
    const cell = at(event)
    if (data.brush) {
      const cells = [...new Map(stroke.map((on) => [`${on}`, on])).values()]
      if (cells.length) setTriggerValue("stroke", cells.map(([row, col]) => ({ row, col })))
      stroke = []
      drag = null
      return
    }
    if (drag && !drag.moved && cell) pick(cell)
    drag = null
  }
  canvas.onpointermove = (event) => {
    if (drag && data.zoom && view.zoom > 1) {
      const box = canvas.getBoundingClientRect()
      const dx = event.clientX - drag.x
      const dy = event.clientY - drag.y
      if (Math.abs(dx) + Math.abs(dy) > 4) drag.moved = true
      view.x = drag.vx - dx / box.width / view.zoom
      view.y = drag.vy - dy / box.height / view.zoom
      clamp()
      draw()
      return
    }
    const cell = at(event)
    view.over = cell
    if (drag && data.brush && cell) touch(cell)
    draw()
    if (!cell) { tip.style.opacity = 0; return }
    const row = name(data.row_names, cell[0], "row")
    const col = name(data.col_names, cell[1], "column")
    const label = data.cell_names ? data.cell_names[cell[0] * cols + cell[1]] : `${row} · ${col}`
    const value = values ? values[cell[0] * cols + cell[1]] : null
    const number = value === null || Number.isNaN(value) ? "" : `: ${Number(value.toPrecision(4))}`
    tip.textContent = label + number + (number && data.unit ? ` ${data.unit}` : "")
    tip.style.opacity = 1
  }
  canvas.onpointercancel = () => { stroke = []; drag = null; draw() }
  canvas.onpointerleave = () => { view.over = null; tip.style.opacity = 0; draw() }
  if (data.zoom) {
    canvas.onwheel = (event) => {
      event.preventDefault()
      const box = canvas.getBoundingClientRect()
      const px = (event.clientX - box.left) / box.width
      const py = (event.clientY - box.top) / box.height
      const before = view.zoom
      view.zoom = Math.min(Math.max(before * Math.exp(-event.deltaY / 400), 1), 64)
      view.x += px / before - px / view.zoom
      view.y += py / before - py / view.zoom
      clamp()
      draw()
    }
    root.querySelector(".reset").onclick = () => {
      Object.assign(view, { x: 0, y: 0, zoom: 1 })
      draw()
    }
  }
  canvas.onkeydown = (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }
    const by = step[event.key]
    if (!by || !data.clickable) return
    event.preventDefault()
    const [r, c] = data.selected[0] || [0, 0]
    pick([Math.min(Math.max(r + by[0], 0), rows - 1), Math.min(Math.max(c + by[1], 0), cols - 1)])
  }
  const watch = new ResizeObserver(() => {
    axis(root.querySelector(".top"), data.top, false)
    draw()
  })
  watches.get(root)?.disconnect()
  watches.set(root, watch)
  watch.observe(canvas)
  return () => watch.disconnect()
}

function axis(element, names, vertical) {
  element.replaceChildren()
  element.style.display = names ? "flex" : "none"
  for (const text of names || []) {
    const item = document.createElement("span")
    item.textContent = text
    element.append(item)
  }
  // Words that are wider than their column stand upright.
  element.classList.remove("upright")
  const items = vertical || !names ? [] : [...element.children]
  element.classList.toggle("upright", items.some((item) => item.scrollWidth > item.clientWidth))
}
