// A table, of which the first rows are shown until more is asked for; what follows from another row is not among these.
// On a narrow screen each row is a card whose cells carry their column's name.
export default {
  props: { caption: String, columns: Array, rows: Array, empty: String, first: Number },
  emits: ["act"],
  template: `
    <div>
    <p v-if="!rows.length" class="empty">{{ empty }}</p>
    <table v-else-if="shown.length" class="rows" role="table">
      <caption>{{ caption }}</caption>
      <thead role="rowgroup">
        <tr role="row">
          <th v-for="column in columns" :key="column.name" role="columnheader" scope="col" :class="column.kind">{{ column.label }}</th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        <tr v-for="row in shown" :key="row.key" role="row" :data-key="row.key">
          <td v-for="column in columns" :key="column.name" role="cell" :data-label="column.label" :class="[column.kind, tone(row, column)]">
            <button v-if="column.kind == 'act'" type="button" class="plain" :aria-label="row[column.name]" @click="$emit('act', row.key)">{{ column.label }}</button>
            <pre v-else-if="column.kind == 'code' && row[column.name]" tabindex="0" role="group" :aria-label="column.label">{{ row[column.name] }}</pre>
            <a v-else-if="column.kind == 'link' && row[column.name].href" :href="row[column.name].href">{{ text(row[column.name]) }}</a>
            <time v-else-if="column.kind == 'time' && row[column.name] !== null" :datetime="new Date(row[column.name]).toISOString()">{{ time(row[column.name]) }}</time>
            <span v-else>{{ text(row[column.name]) }}</span>
          </td>
        </tr>
      </tbody>
    </table>
    <button v-if="rows.length > brief.length" type="button" class="plain" :aria-expanded="all" @click="all = !all">
      {{ !all ? "Show all " + rows.length + (rows.some((row) => row.follows) ? ", including consequences" : "") : brief.length ? "Show fewer" : "Show none" }}
    </button>
    </div>`,
  data() {
    return { all: false };
  },
  computed: {
    brief() {
      return this.rows.filter((row) => !row.follows).slice(0, this.first);
    },
    shown() {
      return this.all ? this.rows : this.brief;
    },
  },
  methods: {
    text(cell) {
      return cell?.text ?? cell;
    },
    tone(row, column) {
      return row[column.name]?.tone;
    },
    time(milliseconds) {
      const [day, clock] = [{ day: "numeric", month: "short" }, { hour: "2-digit", minute: "2-digit", second: "2-digit" }];
      // The clock of the charts, and the time zone that it is of.
      return new Date(milliseconds).toLocaleString([], { ...day, ...clock, hourCycle: "h23", timeZoneName: "short" });
    },
  },
};
