// The browser's tab: its title and its icon say whether something is wrong.
export default {
  props: { heading: String, icon: String },
  template: `<span hidden></span>`,
  mounted() {
    this.apply();
  },
  watch: {
    heading: "apply",
    icon: "apply",
  },
  methods: {
    apply() {
      document.title = this.heading;
      for (const link of document.querySelectorAll("link[rel~=icon]")) link.href = this.icon;
    },
  },
};
