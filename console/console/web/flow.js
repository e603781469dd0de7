// The picture of the pipeline. `picture` never changes; `values` are what its boxes show, once per second.
const NARROW = window.matchMedia("(max-width: 900px)");

export default {
  props: { picture: Object, values: Object },
  template: `
    <svg class="flow" role="img" :viewBox="[-2, -2, size[0] + 4, size[1] + 4].join(' ')" :class="narrow ? 'tall' : 'wide'"
         aria-label="The flow of transactions from the bank to the stores; the tables below say the same in words">
      <path v-for="edge in edges" :key="edge.start + edge.end" class="edge" :class="tone(edge)" :d="edge.path"/>
      <g v-for="node in nodes" :key="node.id" :data-node="node.id" class="node" :class="[node.kind, said(node).tone]"
         :transform="'translate(' + node.box.x + ' ' + node.box.y + ')'">
        <rect :width="node.box.w" :height="node.box.h" :rx="node.kind == 'topic' || node.kind == 'dead-letters' ? node.box.h / 2 : 12"/>
        <text text-anchor="middle" :x="node.box.w / 2" :y="top(node)">
          <tspan v-for="(line, i) in node.label" :key="i" class="name" :x="node.box.w / 2" :dy="i ? 16 : 0">{{ line }}</tspan>
          <tspan v-if="said(node).state" class="state" :x="node.box.w / 2" dy="18">{{ mark(node) }} {{ said(node).state }}</tspan>
          <tspan v-for="line in said(node).lines" :key="line.split(' ')[0]" class="line" :x="node.box.w / 2" dy="17">{{ line }}</tspan>
        </text>
      </g>
    </svg>`,
  data() {
    return { narrow: NARROW.matches };
  },
  mounted() {
    NARROW.addEventListener("change", () => (this.narrow = NARROW.matches));
  },
  computed: {
    size() {
      return this.narrow ? this.picture.tall : this.picture.wide;
    },
    nodes() {
      const boxed = this.picture.nodes.map((node) => ({ ...node, box: this.narrow ? node.tall : node.wide }));
      return boxed.filter((node) => node.box);
    },
    edges() {
      const boxes = Object.fromEntries(this.nodes.map((node) => [node.id, node.box]));
      return this.picture.edges
        .filter((edge) => boxes[edge.start] && boxes[edge.end] && (edge.tall || !this.narrow))
        .map((edge) => ({ ...edge, path: path(boxes[edge.start], boxes[edge.end], edge.side) }));
    },
  },
  methods: {
    said(node) {
      return this.values[node.id] ?? { tone: "quiet", state: "", lines: [] };
    },
    tone(edge) {
      return this.values[edge.topic]?.tone ?? "quiet";
    },
    mark(node) {
      return { ok: "●", bad: "▲", quiet: "○" }[this.said(node).tone];
    },
    top(node) {
      const said = this.said(node);
      const height = 16 * (node.label.length - 1) + (said.state ? 18 : 0) + 17 * said.lines.length;
      return (node.box.h - height) / 2 + 4;
    },
  },
};

// From box to box: onwards to the right where there is room, else down; `side` leaves and arrives at the right.
function path(a, b, side) {
  if (side) {
    const x = a.x + a.w, y1 = a.y + a.h / 2, y2 = b.y + b.h / 2;
    return `M${x} ${y1} C${x + 24} ${y1} ${x + 24} ${y2} ${x} ${y2}`;
  }
  if (b.x >= a.x + a.w) {
    const x1 = a.x + a.w, x2 = b.x, y1 = a.y + a.h / 2, y2 = b.y + b.h / 2, half = (x2 - x1) / 2;
    if (b.y < a.y + a.h + 30 || x2 - x1 > 20) return `M${x1} ${y1} C${x1 + half} ${y1} ${x2 - half} ${y2} ${x2} ${y2}`;
  }
  const x1 = a.x + a.w / 2, x2 = b.x + b.w / 2, y1 = a.y + a.h, y2 = b.y, half = (y2 - y1) / 2;
  return `M${x1} ${y1} C${x1} ${y1 + half} ${x2} ${y2 - half} ${x2} ${y2}`;
}
