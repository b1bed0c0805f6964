// Dots that can be pointed at, encircled (drag), opened (click, Enter), moved and enlarged. The
// dots are drawn when the view changes; the pointer draws on a second canvas above them. What
// scatter_marks.js and scatter_near.js define stands before this in one module.
const views = new WeakMap()
const asked = new Map()
const SIZE = 88, REACH = 14, DWELL = 90, AGAIN = 6000, HOLD = 2000

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const root = parentElement.querySelector(".scatter")
  const find = (name) => root.querySelector(name)
  const [base, hand, tip, thumb] = [".dots", ".hand", ".tip", ".thumb"].map(find)
  const points = new Float32Array(bytes(data.points))
  const codes = new Uint8Array(bytes(data.codes))
  const shapes = new Uint8Array(bytes(data.shapes))
  const said = new Uint32Array(bytes(data.said))
  const values = data.values ? new Float32Array(bytes(data.values)) : null
  const chosen = data.chosen ? new Uint8Array(bytes(data.chosen)) : null
  const n = data.names.length
  const [wide, high] = data.extent
  const sheets = (window.attnlibSheets ??= new Map())
  const whole = { x: wide / 2, y: high / 2, zoom: 1 }
  let view = views.get(root)
  if (!view || view.of !== data.of) {
    view = { ...whole, of: data.of, mode: view?.mode || "draw", at: -1, only: null, line: null }
    views.set(root, view)
  }
  if (view.title !== data.title) Object.assign(view, { title: data.title, only: null })
  view.line = null
  root.style.maxWidth = `${data.width}px`
  hand.setAttribute("aria-label", data.alt)

  // -- colours and shapes ----------------------------------------------------------------------
  const style = getComputedStyle(root)
  const css = (name) => style.getPropertyValue(name).trim()
  let theme = [], text = "", sprites = new Map()
  const dress = () => {
    const now = css("--st-chart-categorical-colors").split(/,(?![^(]*\))/).map((c) => c.trim())
    if (now.join() === theme.join() && text === css("--st-text-color")) return false
    theme = now
    text = css("--st-text-color")
    sprites = new Map()
    return true
  }
  const colour = (code) => {
    const found = data.palette[code].colour
    return typeof found === "number" ? theme[found % theme.length] : found
  }
  const sprite = (stock, code, shape, r) => {
    const place = 3 * code + shape
    if (stock[place]) return stock[place]
    const made = document.createElement("canvas")
    made.width = made.height = 2 * Math.ceil(r * 1.6)
    const pen = made.getContext("2d")
    pen.translate(made.width / 2, made.height / 2)
    mark(pen, shape, r, colour(code), text)
    return (stock[place] = made)
  }

  // -- the plane -------------------------------------------------------------------------------
  const pixel = () => window.devicePixelRatio || 1
  const radius = () => (n < 300 ? 6 : n < 2000 ? 4.5 : 3) * Math.min(2, view.zoom ** 0.3)
  const fit = () => {
    const [w, h] = [hand.clientWidth - 36, hand.clientHeight - 36]
    return Math.max(1, Math.min(w / Math.max(wide, 1e-9), h / Math.max(high, 1e-9))) * view.zoom
  }
  const shown = (x, y) => {
    const s = fit()
    return [hand.clientWidth / 2 + (x - view.x) * s, hand.clientHeight / 2 - (y - view.y) * s]
  }
  const meant = (px, py) => {
    const s = fit()
    return [view.x + (px - hand.clientWidth / 2) / s, view.y - (py - hand.clientHeight / 2) / s]
  }
  const clear = (canvas) => {
    const [w, h] = [canvas.clientWidth, canvas.clientHeight].map((v) => Math.round(v * pixel()))
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h }
    const pen = canvas.getContext("2d")
    pen.setTransform(1, 0, 0, 1, 0, 0)
    pen.clearRect(0, 0, canvas.width, canvas.height)
    return pen
  }
  const bright = (i) => (!chosen || chosen[i] === 1) && (view.only === null || view.only === codes[i])
  const draw = () => {
    if (!hand.clientWidth) return
    dress()
    const pen = clear(base)
    const [s, p] = [fit() * pixel(), pixel()]
    const r = Math.round(radius() * p * 2) / 2
    if (!sprites.has(r)) sprites.set(r, [])
    const stock = sprites.get(r)
    const [ox, oy] = [base.width / 2 - view.x * s, base.height / 2 + view.y * s]
    // Faint dots below, then the others, and of these the wrong ones on top.
    const passes = chosen || view.only !== null ? [[false, null]] : []
    for (const [light, cross] of [...passes, [true, false], [true, true]]) {
      pen.globalAlpha = light ? 1 : 0.2
      for (let i = 0; i < n; i++) {
        if (bright(i) !== light || (cross !== null && (shapes[i] === 1) !== cross)) continue
        const x = ox + points[2 * i] * s, y = oy - points[2 * i + 1] * s
          if (x < -r || y < -r || x > base.width + r || y > base.height + r) continue
        const made = sprite(stock, codes[i], shapes[i], r)
        pen.drawImage(made, Math.round(x - made.width / 2), Math.round(y - made.height / 2))
      }
    }
    over()
  }
  const over = () => {
    const pen = clear(hand)
    pen.scale(pixel(), pixel())
    const line = view.line || data.lasso
    if (line.length > 1) {
      pen.beginPath()
      for (const [x, y] of line) pen.lineTo(...shown(x, y))
      if (line !== view.line) pen.closePath()
      pen.fillStyle = css("--st-primary-color")
      pen.globalAlpha = 0.1
      pen.fill()
      pen.globalAlpha = 1
      pen.setLineDash([6, 4])
      pen.lineWidth = 1.5
      pen.strokeStyle = css("--st-primary-color")
      pen.stroke()
      pen.setLineDash([])
    }
    if (view.at < 0 || view.at >= n) return
    pen.beginPath()
    const [x, y] = shown(points[2 * view.at], points[2 * view.at + 1])
    pen.arc(x, y, radius() + 4, 0, 2 * Math.PI)
    pen.lineWidth = 2.5
    pen.strokeStyle = text
    pen.stroke()
  }
  const nearest = (px, py) => closest(points, meant(px, py), REACH / fit(), bright)

  // -- what a dot is ---------------------------------------------------------------------------
  const told = (i) => {
    const value = values ? values[i] : null
    const number = value === null ? "" : Number.isNaN(value) ? "none" : `${+value.toPrecision(3)}`
    return [data.names[i], data.lines[said[i]], number && `${data.title}: ${number}`]
  }
  let waiting = 0, decided = 0
  // Of two things that are said while the server is busy it hears the second only: a thumbnail that
  // is asked for must not take the place of what somebody chose.
  const choose = (name, value) => {
    clearTimeout(waiting)
    decided = Date.now()
    setTriggerValue(name, value)
  }
  const picture = () => {
    const i = view.at
    if (i < 0 || i >= n) return
    const number = Math.floor(i / data.per_sheet)
    const name = `${data.of}/${number}`
    const found = sheets.get(name)
    thumb.width = thumb.height = SIZE
    if (found) {
      const place = i % data.per_sheet, across = Math.round(found.width / data.tile)
      const [x, y] = [place % across, Math.floor(place / across)]
      const pen = thumb.getContext("2d")
      pen.drawImage(found, x * data.tile, y * data.tile, data.tile, data.tile, 0, 0, SIZE, SIZE)
      return
    }
    clearTimeout(waiting)
    waiting = setTimeout(() => {
      if (Date.now() - decided < HOLD || Date.now() - (asked.get(name) || 0) < AGAIN) return
      asked.set(name, Date.now())
      setTriggerValue("sheet", { number })
    }, DWELL)
  }
  const point = (i, aloud = false) => {
    if (i !== view.at || aloud) {
      view.at = i
      over()
      if (i >= 0) {
        const [name, line, number] = told(i)
        const words = find(".words")
        words.replaceChildren(Object.assign(document.createElement("b"), { textContent: name }))
        for (const one of [line, number]) {
          if (one) words.append(Object.assign(document.createElement("div"), { textContent: one }))
        }
        if (aloud) find(".spoken").textContent = [name, line, number].filter(Boolean).join(", ")
      }
      picture()
    }
    tip.style.display = i < 0 ? "none" : "flex"
    if (i < 0) return
    const [x, y] = shown(points[2 * i], points[2 * i + 1])
    const [w, h] = [tip.offsetWidth, tip.offsetHeight]
    const left = x + 16 + w < hand.clientWidth ? x + 16 : x - 16 - w
    tip.style.left = `${Math.max(0, Math.min(left, hand.clientWidth - w))}px`
    tip.style.top = `${Math.max(0, Math.min(y - h / 2, hand.clientHeight - h))}px`
  }
  window.addEventListener("attnlib-sheets", picture)

  // -- pointer and keys ------------------------------------------------------------------------
  const at = (event) => {
    const box = hand.getBoundingClientRect()
    return [event.clientX - box.left, event.clientY - box.top]
  }
  const open = (i) => i >= 0 && i < n && choose("open", { number: i })
  let drag = null
  hand.onpointerdown = (event) => {
    if (event.button) return
    const [x, y] = at(event)
    const move = event.shiftKey || view.mode === "move" || !data.lassoable
    drag = { x, y, vx: view.x, vy: view.y, move, moved: false, line: [meant(x, y)], last: [x, y] }
    hand.setPointerCapture(event.pointerId)
  }
  hand.onpointermove = (event) => {
    const [x, y] = at(event)
    if (!drag) { point(nearest(x, y)); return }
    if (Math.hypot(x - drag.x, y - drag.y) > 4) drag.moved = true
    if (!drag.moved) return
    tip.style.display = "none"
    if (drag.move) {
      const s = fit()
      view.x = drag.vx - (x - drag.x) / s
      view.y = drag.vy + (y - drag.y) / s
      draw()
    } else if (Math.hypot(x - drag.last[0], y - drag.last[1]) > 2) {
      drag.line.push(meant(x, y))
      drag.last = [x, y]
      view.line = drag.line
      over()
    }
  }
  hand.onpointerup = (event) => {
    const ended = drag
    drag = null
    if (!ended) return
    if (!ended.moved) { open(nearest(...at(event))); return }
    if (ended.move) return
    if (ended.line.length > 2) choose("lasso", { corners: ended.line.slice(0, 4000) })
    else { view.line = null; over() }
  }
  hand.onpointercancel = () => { drag = null; view.line = null; over() }
  hand.onpointerleave = () => { if (!drag) point(-1) }
  hand.onpointerenter = () => { if (dress()) { draw(); legend() } }
  const enlarge = (factor, px, py) => {
    const [x, y] = meant(px, py)
    view.zoom = Math.min(Math.max(view.zoom * factor, 1), 200)
    const [u, v] = meant(px, py)
    view.x += x - u
    view.y += y - v
    if (view.zoom === 1) Object.assign(view, whole)
    draw()
  }
  hand.onwheel = (event) => {
    event.preventDefault()
    enlarge(Math.exp(-event.deltaY / 400), ...at(event))
    point(nearest(...at(event)))
  }
  const ways = { ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }
  const next = (way) => {
    if (view.at >= 0 && view.at < n) return towards(points, view.at, way, bright)
    return closest(points, [view.x, view.y], Infinity, bright)
  }
  hand.onkeydown = (event) => {
    const [w, h] = [hand.clientWidth, hand.clientHeight]
    if (ways[event.key]) {
      const i = next(ways[event.key])
      if (i >= 0) {
        const [x, y] = shown(points[2 * i], points[2 * i + 1])
        if (x < 0 || y < 0 || x > w || y > h) {
          Object.assign(view, { x: points[2 * i], y: points[2 * i + 1] })
          draw()
        }
        point(i, true)
      }
    } else if (event.key === "Enter") open(view.at)
    else if (event.key === "+") enlarge(1.5, w / 2, h / 2)
    else if (event.key === "-") enlarge(1 / 1.5, w / 2, h / 2)
    else if (event.key === "Escape") point(-1)
    else return
    event.preventDefault()
  }
  hand.onblur = () => point(-1)

  // -- buttons and legend ----------------------------------------------------------------------
  const [pen, move] = [find(".draw"), find(".move")]
  const mode = (now) => {
    view.mode = now
    pen.setAttribute("aria-pressed", now === "draw" && data.lassoable)
    move.setAttribute("aria-pressed", now === "move" || !data.lassoable)
    hand.style.cursor = now === "draw" && data.lassoable ? "crosshair" : "grab"
  }
  pen.disabled = !data.lassoable
  pen.onclick = () => mode("draw"); move.onclick = () => mode("move")
  mode(view.mode)
  find(".reset").onclick = () => { Object.assign(view, whole); draw() }
  find(".clear").style.display = data.erasable ? "" : "none"
  find(".clear").onclick = () => choose("lasso", { corners: [] })
  find(".count").textContent = chosen ? `${chosen.reduce((a, b) => a + b, 0)} of ${n} inside` : ""
  const legend = () => {
    const only = (code) => { view.only = view.only === code ? null : code; legend(); draw() }
    explain(find(".legend"), data, codes, shapes, view.only, only, colour, text)
  }
  dress()
  legend()
  draw()
  const watch = new ResizeObserver(draw)
  watch.observe(hand)
  return () => {
    watch.disconnect(); clearTimeout(waiting)
    window.removeEventListener("attnlib-sheets", picture)
  }
}
