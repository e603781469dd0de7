package emulator;

import java.util.Arrays;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.apache.logging.log4j.core.Core;
import org.apache.logging.log4j.core.Layout;
import org.apache.logging.log4j.core.LogEvent;
import org.apache.logging.log4j.core.config.Property;
import org.apache.logging.log4j.core.config.plugins.Plugin;
import org.apache.logging.log4j.core.config.plugins.PluginElement;
import org.apache.logging.log4j.core.config.plugins.PluginFactory;
import org.apache.logging.log4j.core.layout.AbstractLayout;

/** Logs as a ksqlDB server does: one entry of the processing log (the argument), and one line of the server's own. */
public final class ProcessingLog {
    public static void main(String[] arguments) {
        Logger processing = LogManager.getLogger("processing.CSAS_X_1.KsqlTopic.Source.deserializer");
        processing.error("{}", arguments[0]);
        LogManager.getLogger("io.confluent.ksql.rest.server.KsqlServerMain").info("Server up and running");
        LogManager.getLogger("io.confluent.rest-utils.requests").info("a request");
        LogManager.shutdown();
    }

    /** Confluent's plugin of this name is on no registry: as there, Connect's JSON converter makes the record. */
    @Plugin(name = "StructuredJsonLayout", category = Core.CATEGORY_NAME, elementType = Layout.ELEMENT_TYPE)
    public static final class StructuredJsonLayout extends AbstractLayout<byte[]> {
        private final JsonConverter converter = new JsonConverter();

        private StructuredJsonLayout(Map<String, String> properties) {
            super(null, new byte[0], new byte[0]);
            converter.configure(properties, false);
        }

        @PluginFactory
        public static StructuredJsonLayout createLayout(@PluginElement("Properties") Property[] properties) {
            return new StructuredJsonLayout(
                Arrays.stream(properties).collect(Collectors.toMap(Property::getName, Property::getValue)));
        }

        @Override
        public byte[] toByteArray(LogEvent event) {
            return converter.fromConnectData("", Schema.STRING_SCHEMA, event.getMessage().getParameters()[0]);
        }

        @Override
        public byte[] toSerializable(LogEvent event) {
            return toByteArray(event);
        }

        @Override
        public String getContentType() {
            return "application/json";
        }
    }
}
